//! No files use each other in a circle, neither in a room nor across rooms.
//!
//! A file uses the one that defines what it names: a `pub use` on the way there is passed through.
//! What is named by a method alone is not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Expr, Item, Token, UseTree, Visibility};

use super::{assert_none, collect};

/// The names of a path, such as `crate`, `git`, `Lock`.
type Names = Vec<String>;

/// A module: the file that it stands in, what it contains, and what its imports are short for.
#[derive(Default)]
struct Module {
    file: String,
    children: BTreeSet<String>,
    imports: BTreeMap<String, Names>,
}

/// A path that a module names.
struct Mention {
    module: Names,
    path: Names,
}

#[derive(Default)]
struct Crate {
    modules: BTreeMap<Names, Module>,
    mentions: Vec<Mention>,
}

/// Reads one file.
struct Reader<'a> {
    into: &'a mut Crate,
    file: String,
    module: Names,
}

impl Reader<'_> {
    fn module(&mut self) -> &mut Module {
        let module = self.into.modules.entry(self.module.clone()).or_default();
        module.file.clone_from(&self.file);
        module
    }

    fn mention(&mut self, path: Names) {
        let module = self.module.clone();
        self.into.mentions.push(Mention { module, path });
    }

    fn import(&mut self, tree: &UseTree, mut path: Names, is_public: bool) {
        let (name, of) = match tree {
            UseTree::Path(next) => {
                path.push(next.ident.to_string());
                return self.import(&next.tree, path, is_public);
            }
            UseTree::Group(group) => {
                let trees = group.items.iter();
                return trees.for_each(|tree| self.import(tree, path.clone(), is_public));
            }
            UseTree::Glob(_) => {
                path.push("*".to_owned());
                return self.mention(path);
            }
            UseTree::Name(name) => (name.ident.to_string(), name.ident.to_string()),
            UseTree::Rename(name) => (name.rename.to_string(), name.ident.to_string()),
        };
        let is_module_itself = of == "self";
        let name = match path.last() {
            Some(last) if is_module_itself && name == "self" => last.clone(),
            _ => name,
        };
        if !is_module_itself {
            path.push(of);
        }
        if !is_public {
            self.mention(path.clone());
        }
        self.module().imports.insert(name, path);
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    let is = |one: &syn::Attribute| {
        let word = one.parse_args::<syn::Ident>();
        one.path().is_ident("test")
            || one.path().is_ident("cfg") && word.is_ok_and(|it| it == "test")
    };
    attributes.iter().any(is)
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let name = module.ident.to_string();
        self.module().children.insert(name.clone());
        if module.content.is_some() {
            self.module.push(name);
            self.module();
            visit::visit_item_mod(self, module);
            self.module.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_public = !matches!(item.vis, Visibility::Inherited);
        self.import(&item.tree, Names::new(), is_public);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Names = path
            .segments
            .iter()
            .map(|one| one.ident.to_string())
            .collect();
        if names.len() > 1 {
            self.mention(names);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, of: &'ast syn::Macro) {
        let arguments = of.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated);
        for argument in arguments.iter().flatten() {
            // They do not live as long as the file.
            let mut inner = Reader {
                into: &mut *self.into,
                file: self.file.clone(),
                module: self.module.clone(),
            };
            inner.visit_expr(argument);
        }
    }
}

impl Crate {
    fn read(root: &Path) -> Self {
        let mut files = Vec::new();
        collect(root, &mut files);
        let mut all = Self::default();
        for path in files {
            let file = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            let stem = file.strip_suffix(".rs").unwrap();
            let mut module: Names = stem.split('/').map(str::to_owned).collect();
            if matches!(module.last().map(String::as_str), Some("mod" | "main")) {
                module.pop();
            }
            if module.last().is_some_and(|name| name == "tests") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let mut reader = Reader {
                into: &mut all,
                file,
                module,
            };
            reader.module();
            reader.visit_file(&syn::parse_file(&text).unwrap());
        }
        all
    }

    /// Returns the path from the crate's root that `path` in `module` means; `None` if it leads elsewhere.
    fn absolute(&self, module: &[String], path: &[String], depth: usize) -> Option<Names> {
        let (first, rest) = path.split_first()?;
        let mut start: Names = match first.as_str() {
            _ if depth == 0 => return None,
            "crate" => Names::new(),
            "self" => module.to_vec(),
            "super" => module.split_last()?.1.to_vec(),
            name => {
                let known = self.modules.get(module)?;
                match known.imports.get(name) {
                    // `use crate::git;` and `use self::known::known;` name themselves.
                    Some(import) if *import != [name] => {
                        self.absolute(module, import, depth - 1)?
                    }
                    _ if known.children.contains(name) => [module, &[name.to_owned()]].concat(),
                    _ => return None,
                }
            }
        };
        for name in rest {
            if name == "super" {
                start.pop();
            } else {
                start.push(name.clone());
            }
        }
        Some(start)
    }

    /// Returns the file that defines what stands at this path from the root; `None` for a module itself.
    fn definition(&self, path: &[String], depth: usize) -> Option<&str> {
        let mut at = Names::new();
        for (number, name) in path.iter().enumerate() {
            let module = self.modules.get(&at)?;
            if module.children.contains(name) {
                at.push(name.clone());
                continue;
            }
            return match module.imports.get(name) {
                Some(import) if depth > 0 => {
                    let import = self.absolute(&at, import, depth)?;
                    self.definition(&[&import, &path[number + 1..]].concat(), depth - 1)
                }
                _ => Some(&module.file),
            };
        }
        None
    }

    /// Which file uses which, and by what name.
    fn arrows(&self) -> BTreeMap<&str, BTreeMap<&str, String>> {
        const DEPTH: usize = 8;
        let mut arrows: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
        for Mention { module, path } in &self.mentions {
            let from = self.modules[module].file.as_str();
            let absolute = self.absolute(module, path, DEPTH);
            let to = absolute.and_then(|path| self.definition(&path, DEPTH));
            if let Some(to) = to.filter(|to| *to != from) {
                let of = arrows.entry(from).or_default();
                of.entry(to).or_insert_with(|| path.join("::"));
            }
        }
        arrows
    }
}

/// Returns each set of files that use each other in a circle, with its arrows.
fn circles(root: &Path) -> Vec<(BTreeSet<String>, Vec<String>)> {
    let all = Crate::read(root);
    let arrows = all.arrows();
    let reached = |from: &str| {
        let mut found = BTreeSet::new();
        let mut next = vec![from.to_owned()];
        while let Some(file) = next.pop() {
            let to = arrows.get(file.as_str()).into_iter().flatten();
            next.extend(
                to.map(|(to, _)| (*to).to_owned())
                    .filter(|to| found.insert(to.clone())),
            );
        }
        found
    };
    let reached: BTreeMap<&str, _> = arrows.keys().map(|file| (*file, reached(file))).collect();
    let mut circles = BTreeSet::new();
    for (file, to) in &reached {
        let back = |other: &&String| {
            reached
                .get(other.as_str())
                .is_some_and(|it| it.contains(*file))
        };
        let circle: BTreeSet<String> = to.iter().filter(back).cloned().collect();
        if !circle.is_empty() {
            circles.insert(circle);
        }
    }
    let with_arrows = |circle: BTreeSet<String>| {
        let mut lines = Vec::new();
        for from in &circle {
            let to = arrows[from.as_str()].iter();
            let to = to.filter(|(to, _)| circle.contains(**to));
            lines.extend(to.map(|(to, name)| format!("  {from} uses {to}: {name}")));
        }
        (circle, lines)
    };
    circles.into_iter().map(with_arrows).collect()
}

#[test]
fn layers_have_no_files_that_use_each_other_in_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    for dir in ["src", "benches"] {
        for (circle, arrows) in circles(&root.join(dir)) {
            wrong.push(format!("{dir}: {circle:?}\n{}", arrows.join("\n")));
        }
    }
    assert_none("files in a circle", &wrong);
}

#[test]
fn layers_test_finds_a_circle_through_a_reexport() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("main.rs", "mod a; mod b; fn main() { a::f(); }");
    write(
        "a/mod.rs",
        "mod one; mod two; pub use one::One; pub(crate) fn f() {}",
    );
    write(
        "a/one.rs",
        "use super::two; pub struct One; fn f() { two::f(); }",
    );
    write(
        "b.rs",
        "use crate::a::One; #[cfg(test)] mod tests { use crate::a::f; }",
    );
    let found = |two: &str| {
        write("a/two.rs", two);
        circles(dir.path())
            .into_iter()
            .map(|(circle, _)| circle.into_iter().collect::<Vec<_>>())
    };
    assert_eq!(found("pub fn f() {}").next(), None);
    let circle = Some(vec!["a/one.rs".to_owned(), "a/two.rs".to_owned()]);
    assert_eq!(found("pub fn f(_: super::One) {}").next(), circle);
    assert_eq!(found("use super::*; pub fn f() {}").next(), None);
    assert_eq!(found("pub fn f() { drop(crate::a::One); }").next(), circle);
    assert_eq!(
        found("pub fn f() { vec![super::One, crate::a::one::One]; }").next(),
        circle
    );
    let circle = Some(["a/one.rs", "a/two.rs", "b.rs"].map(str::to_owned).to_vec());
    write("b.rs", "use crate::a::One; pub fn g() {}");
    assert_eq!(
        found("use crate::b as c; pub fn f() { c::g(); }").next(),
        circle
    );
}
