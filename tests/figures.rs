//! Prints how much source there is and of which kind, and compares it with its bounds: `cargo test --test
//! integration figures:: -- --nocapture`. Code excludes blank lines, comments and tests; scripts in `src` count.

use std::fs;
use std::path::{Path, PathBuf};

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Attribute, FnArg, ItemMod, Signature, Type};

/// A function of the product.
struct Function {
    name: String,
    lines: usize,
    parameters: Vec<Vec<String>>,
    /// The first two words of its comment.
    doc: Option<[String; 2]>,
}

#[derive(Default)]
struct Reader {
    functions: Vec<Function>,
    /// The lines of tests, from one to another.
    tests: Vec<(usize, usize)>,
    /// The modules of tests alone that are files of their own.
    files: Vec<String>,
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let is_cfg = attribute.path().is_ident("cfg");
        is_cfg
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|word| word == "test")
    })
}

/// Returns the names that a type is made of: `Option<&str>` is `Option` and `str`.
fn names(of: &Type) -> Vec<String> {
    struct Names(Vec<String>);
    impl Visit<'_> for Names {
        fn visit_ident(&mut self, ident: &proc_macro2::Ident) {
            self.0.push(ident.to_string());
        }
    }
    let mut names = Names(Vec::new());
    names.visit_type(of);
    names.0
}

/// Returns the first two words of a doc comment.
fn doc(attributes: &[Attribute]) -> Option<[String; 2]> {
    let text = attributes.iter().find_map(|attribute| {
        let pair = attribute.meta.require_name_value().ok()?;
        let syn::Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(text),
            ..
        }) = &pair.value
        else {
            return None;
        };
        pair.path.is_ident("doc").then(|| text.value())
    })?;
    let mut words = text.split_whitespace().map(ToOwned::to_owned);
    Some([words.next()?, words.next().unwrap_or_default()])
}

/// Returns whether the words begin with a question word.
fn asks(words: &[String; 2]) -> bool {
    let first = words[0].to_lowercase();
    [
        "what", "whether", "how", "where", "who", "whose", "which", "when", "why", "if",
    ]
    .contains(&first.as_str())
}

/// Returns whether the words begin with a third-person verb, such as "Returns the", but not "Names of".
fn acts(words: &[String; 2]) -> bool {
    let [first, second] = words;
    let is_noun =
        ["of", "that", "which", "in", "are", "is", "to", "with"].contains(&second.as_str());
    let not = ["This", "Its", "As", "Others", "Always", "Is"];
    first.ends_with('s') && !first.ends_with("ss") && !not.contains(&first.as_str()) && !is_noun
}

impl Reader {
    fn note(&mut self, attributes: &[Attribute], signature: &Signature, span: proc_macro2::Span) {
        let typed = signature.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(typed) => Some(names(&typed.ty)),
            FnArg::Receiver(_) => None,
        });
        self.functions.push(Function {
            name: signature.ident.to_string(),
            lines: span.end().line - signature.span().start().line + 1,
            parameters: typed.collect(),
            doc: doc(attributes),
        });
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if is_test(&module.attrs) {
            if module.content.is_none() {
                self.files.push(module.ident.to_string());
            }
            let span = module.span();
            self.tests.push((span.start().line, span.end().line));
        } else {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        if is_test(&function.attrs) {
            let span = function.span();
            return self.tests.push((span.start().line, span.end().line));
        }
        self.note(&function.attrs, &function.sig, function.span());
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.note(&function.attrs, &function.sig, function.span());
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        self.note(&function.attrs, &function.sig, function.span());
        visit::visit_trait_item_fn(self, function);
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let all = entries.flat_map(|path| {
        if path.is_dir() {
            files(&path)
        } else {
            vec![path]
        }
    });
    all.collect()
}

/// Returns the source files and what was read of them, without files that contain only tests.
fn sources(root: &Path) -> Vec<(PathBuf, String, Reader)> {
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let mut reader = Reader::default();
        if path.extension().is_some_and(|end| end == "rs") {
            reader.visit_file(&syn::parse_file(&text).unwrap());
        }
        (path, text, reader)
    };
    let all: Vec<_> = files(root).into_iter().map(read).collect();
    let of_tests = all.iter().flat_map(|(path, _, reader)| {
        let is_root = path
            .file_name()
            .is_some_and(|name| name == "mod.rs" || name == "main.rs");
        let below = if is_root {
            path.with_file_name("")
        } else {
            path.with_extension("")
        };
        reader.files.iter().map(move |name| below.join(name))
    });
    let of_tests: Vec<PathBuf> = of_tests.collect();
    let is_of_tests = |path: &Path| {
        let path = path.with_extension("");
        of_tests.iter().any(|tests| path.starts_with(tests))
    };
    all.into_iter()
        .filter(|(path, ..)| !is_of_tests(path))
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
#[test]
fn figures_of_the_source_are_within_their_bounds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut lengths, mut functions) = (Vec::new(), Vec::new());
    let (mut code, mut bytes) = (0, 0);
    for (path, text, mut reader) in sources(&root) {
        if path.extension().is_some_and(|end| end == "rs") {
            // With all that stands in it.
            lengths.push(text.lines().count());
        }
        let is_test = |number: usize| {
            reader
                .tests
                .iter()
                .any(|(from, to)| (*from..=*to).contains(&number))
        };
        for (at, line) in text.lines().enumerate() {
            let start = line.trim();
            if start.is_empty()
                || start.starts_with("//")
                || start == "#[cfg(test)]"
                || is_test(at + 1)
            {
                continue;
            }
            code += 1;
            bytes += start.chars().count();
        }
        functions.append(&mut reader.functions);
    }
    lengths.sort_unstable();
    let count = functions.len() as f64;
    let parameters = || functions.iter().flat_map(|function| &function.parameters);
    let has = |names: &[&str]| {
        let is =
            |parameter: &&Vec<String>| parameter.iter().any(|name| names.contains(&name.as_str()));
        parameters().filter(is).count() as f64
    };
    let docs: Vec<_> = functions.iter().filter_map(|f| f.doc.as_ref()).collect();
    let of_docs = |is: fn(&[String; 2]) -> bool| {
        100.0 * docs.iter().filter(|words| is(words)).count() as f64 / docs.len() as f64
    };
    let long: Vec<&Function> = functions.iter().filter(|f| f.lines > 40).collect();
    let wide: Vec<&Function> = functions
        .iter()
        .filter(|f| f.parameters.len() >= 5)
        .collect();
    let list = |of: &[&Function]| {
        of.iter()
            .map(|f| f.name.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    };
    println!("long: {}\nwide: {}", list(&long), list(&wide));
    let share = |of: &[&Function]| 100.0 * of.len() as f64 / count;
    let any = 0.0..=f64::INFINITY;
    let figures = [
        ("lines of code", code as f64, any.clone()),
        (
            "characters a line",
            f64::from(bytes as u32) / f64::from(code as u32),
            any.clone(),
        ),
        ("files", lengths.len() as f64, any.clone()),
        (
            "lines of the middle file",
            lengths[lengths.len() / 2] as f64,
            0.0..=150.0,
        ),
        (
            "lines of the longest file",
            *lengths.last().unwrap() as f64,
            0.0..=400.0,
        ),
        ("functions", count, any),
        (
            "functions of more than 40 lines, in 100",
            share(&long),
            0.0..=3.0,
        ),
        (
            "functions of five parameters or more, in 100",
            share(&wide),
            0.0..=0.5,
        ),
        (
            "parameters that are text, in 100 functions",
            100.0 * has(&["str", "String"]) / count,
            0.0..=12.0,
        ),
        (
            "parameters that are a bool, in 100 functions",
            100.0 * has(&["bool"]) / count,
            0.0..=2.0,
        ),
        (
            "comments of functions that begin with a word that asks, in 100",
            of_docs(asks),
            0.0..=2.0,
        ),
        (
            "comments of functions that begin with a verb, in 100",
            of_docs(acts),
            70.0..=100.0,
        ),
    ];
    for (name, figure, _) in &figures {
        println!("{figure:>9.1} {name}");
    }
    for (name, figure, bounds) in &figures {
        assert!(
            bounds.contains(figure),
            "{figure:.1} {name}, not {bounds:?}"
        );
    }
}
