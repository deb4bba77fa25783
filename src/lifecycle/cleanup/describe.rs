//! What a merge comes to, in words.

use super::facts::Facts;
use crate::git::{Integrated, MergePlan};
use crate::ui::shown;
use crate::ui::words::count;

impl Facts {
    /// Says why there is nothing to merge, if so: no work yet, or work that is there already.
    pub(crate) fn nothing_to_merge(&self) -> Option<String> {
        if let Some(elsewhere) = &self.merged_in {
            return Some(self.has_everything(&elsewhere.name, elsewhere.how));
        }
        let into = self.into.as_ref()?;
        match &into.merge {
            MergePlan::UpToDate(how) => Some(self.has_everything(&into.branch, *how)),
            _ => None,
        }
    }

    /// Says how `target` has the work of the task.
    fn has_everything(&self, target: &str, how: Integrated) -> String {
        let branch = &self.task.branch;
        match how {
            Integrated::Ancestor if self.has_no_commits() => {
                format!("'{branch}' has no commits of its own")
            }
            Integrated::Ancestor => format!("'{target}' has everything of '{branch}' already"),
            Integrated::Cancelled => {
                format!("the commits of '{branch}' change nothing, all in all")
            }
            Integrated::Contained => {
                format!("'{target}' has the changes of '{branch}' already, by other commits")
            }
            Integrated::Picked => {
                format!("'{target}' has each commit of '{branch}' already, under another name")
            }
            Integrated::Squashed => {
                format!("'{target}' has '{branch}' already, squashed into one commit")
            }
        }
    }

    /// Says what is merged.
    pub(super) fn describe_merge(&self) -> String {
        if let Some(why) = self.nothing_to_merge() {
            return format!("nothing: {why}");
        }
        let Some(into) = &self.into else {
            return format!("'{}' is dropped, and kept in the archive", self.task.branch);
        };
        let (commits, style) = (count(self.commits(), "commit"), into.style.into_str());
        let MergePlan::Drivers { files, .. } = &into.merge else {
            return format!("{commits}, no conflict ({style})");
        };
        let names: Vec<String> = files
            .iter()
            .map(|file| format!("'{}'", shown(&file.path)))
            .collect();
        let names = names.join(", ");
        format!("{commits}, not tried: a merge driver decides about {names} ({style})")
    }
}
