//! Many objects, read side by side: libgit2 has one lock for all that read through one handle.

use std::path::PathBuf;
use std::thread;

use git2::{ObjectFormat, Odb, Repository};

use super::Repo;
use crate::git::Git;

/// So few that another thread would take longer to begin than it saves.
const FEW: usize = 64;

/// What another handle on the same objects is made of.
struct Objects {
    dir: String,
    format: ObjectFormat,
    common_dir: PathBuf,
    current: Option<PathBuf>,
    main: Option<PathBuf>,
}

impl Objects {
    /// Of objects that are where git looks for them by itself.
    fn of(repo: &Repo) -> Option<Self> {
        let dir = repo.common_dir.join("objects");
        Some(Self {
            dir: dir.to_str().filter(|_| !Git::is_directed())?.to_owned(),
            format: repo.git2.object_format(),
            common_dir: repo.common_dir.clone(),
            current: repo.current.clone(),
            main: repo.main.clone(),
        })
    }

    /// Opens them, with those that they are borrowed from, and without any configuration.
    fn open(&self) -> Result<Repo, git2::Error> {
        let objects = Odb::new_ext(self.format)?;
        objects.add_disk_alternate(&self.dir)?;
        Ok(Repo {
            git2: Repository::from_odb(objects)?,
            common_dir: self.common_dir.clone(),
            current: self.current.clone(),
            main: self.main.clone(),
        })
    }
}

impl Repo {
    /// What `work` makes of `items`, in their order: where they are many, each processor works
    /// on its share of them, with a handle of its own.
    pub(crate) fn spread<T: Sync, R: Send>(
        &self,
        items: &[T],
        work: impl Fn(&Self, &[T]) -> Vec<R> + Sync,
    ) -> Vec<R> {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let share = items.len().div_ceil(workers).max(FEW);
        let objects = Objects::of(self).filter(|_| share < items.len());
        let (Some(objects), Some((own, others))) = (objects, items.split_at_checked(share)) else {
            return work(self, items);
        };
        thread::scope(|scope| {
            let begin = |share| {
                let (objects, work) = (&objects, &work);
                let worker = scope.spawn(move || objects.open().map(|repo| work(&repo, share)));
                (share, worker)
            };
            let begun: Vec<_> = others.chunks(share).map(begin).collect();
            let mut done = work(self, own);
            for (share, worker) in begun {
                // What could not be opened twice is read as it is.
                let made = worker.join().expect("no worker panics");
                done.extend(made.unwrap_or_else(|_| work(self, share)));
            }
            done
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_read_as_one_reads_them() {
        for format in ["sha1", "sha256"] {
            let dir = tempfile::tempdir().unwrap();
            let option = format!("--object-format={format}");
            Git::new(dir.path(), ["init", "-q", "--bare", &option])
                .run()
                .unwrap();
            let repo = Repo::open_at(dir.path()).unwrap();
            let write = |n: usize| repo.write_record(None, &[("n", n.to_string().as_bytes())]);
            for many in [0, 1, FEW, 10 * FEW + 1] {
                let mut trees: Vec<String> = (0..many).map(|n| write(n).unwrap()).collect();
                let numbers = |repo: &Repo, trees: &[String]| {
                    let read = |tree: &String| repo.read_file(tree, "n").ok();
                    trees.iter().map(read).collect()
                };
                let read: Vec<Option<Vec<u8>>> = repo.spread(&trees, numbers);
                let all: Vec<_> = (0..many)
                    .map(|n| Some(n.to_string().into_bytes()))
                    .collect();
                assert_eq!(read, all);
                // One that is missing spoils itself alone.
                trees.push("1".repeat(trees.first().map_or(40, String::len)));
                let read: Vec<Option<Vec<u8>>> = repo.spread(&trees, numbers);
                assert_eq!((&read[..many], &read[many]), (&all[..], &None));
            }
        }
    }
}
