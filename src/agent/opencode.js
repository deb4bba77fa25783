// Tells git flux what this session does. Written for one run, and removed with it.
import { spawn } from "node:child_process"

const program = PROGRAM

export const Flux = async ({ directory } = {}) => {
  let session
  let said = ""
  const roles = new Map()
  // The sessions of agents within: their questions are asked here.
  const within = new Map()
  let told = Promise.resolve()
  const hook = (event, input) =>
    new Promise((done) => {
      try {
        const child = spawn(program, ["__hook", "opencode", event], { stdio: ["pipe", "ignore", "ignore"] })
        child.on("error", done)
        child.on("close", done)
        child.stdin.on("error", () => {})
        child.stdin.end(JSON.stringify(input))
      } catch {
        done()
      }
    })
  // One after the other, as it happened, and without making the session wait.
  const tell = (event, session_id, message) => {
    told = told.then(() => hook(event, { session_id, message, cwd: directory }))
  }
  const asking = (id) => {
    while (within.has(id)) id = within.get(id)
    return id
  }
  return {
    event: async ({ event }) => {
      const p = event.properties ?? {}
      const id = p.sessionID ?? p.info?.sessionID ?? p.part?.sessionID
      const type = event.type.replace(".v2.", ".")
      if (type === "session.created" || type === "session.updated") {
        if (p.info?.parentID) within.set(p.info.id, p.info.parentID)
        else if (type === "session.created") tell(type, (session = p.info?.id))
        return
      }
      if (type === "message.updated") return void roles.set(p.info?.id, p.info?.role)
      if (type === "message.part.updated") {
        if (p.part?.type === "text" && roles.get(p.part.messageID) === "assistant" && id === session) said = p.part.text
        return
      }
      if (type === "session.status") {
        if (p.status?.type === "busy") tell("session.busy", id)
        return
      }
      if (type === "session.idle") return tell(type, id, said.slice(0, 2000))
      if (type === "session.error") return tell(type, id, String(p.error?.data?.message ?? p.error?.name ?? ""))
      if (type === "permission.asked" || type === "permission.updated")
        return tell("permission.asked", asking(id), String(p.title ?? p.permission ?? p.type ?? ""))
      if (type === "question.asked") return tell(type, asking(id), String(p.questions?.[0]?.question ?? ""))
      if (type === "permission.replied" || type === "question.replied" || type === "question.rejected")
        return tell(type.replace("rejected", "replied"), asking(id))
    },
  }
}
