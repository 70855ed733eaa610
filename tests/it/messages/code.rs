//! What the provider can say, read from its own source: the summaries of its diagnostics, and the reasons of its errors.
//!
//! A summary is what stands in `Diag::error(…)` and `Diag::warning(…)`, is bound to the name `summary`, or given to a
//! parameter of that name. A reason is the text of an `#[error("…")]`, of an `Err("…")`, of an error of the Proxmox
//! client, or what is bound or given to the name `reason` or `message`. A diagnostic whose summary is neither written
//! there nor handed on under one of the names fails the test: nobody could keep a list.

use std::collections::{BTreeMap, BTreeSet};

use quote::ToTokens as _;
use syn::visit::{self, Visit};
use syn::{Attribute, Block, Expr, Lit, Pat, Stmt};

/// Where people's messages come from.
const SOURCES: [&str; 4] =
    ["provider/src/", "provider/spec/src/", "provider/proxmox/src/", "provider/process/src/"];

/// The names under which texts are handed on.
const NAMES: [&str; 3] = ["summary", "reason", "message"];

/// The texts found, with `…` for what is filled in, and the files that they stand in.
pub(super) fn messages(files: &[(String, String)]) -> BTreeMap<String, BTreeSet<String>> {
    let sources = files.iter().filter(|(path, _)| SOURCES.iter().any(|top| path.starts_with(top)));
    let parsed: Vec<_> = sources
        .filter(|(path, _)| !path.contains("/tests"))
        .map(|(path, text)| {
            (path, syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}")))
        })
        .collect();
    let mut takers = Takers::default();
    for (path, file) in &parsed {
        takers.path = path;
        takers.visit_file(file);
    }
    let mut found = BTreeMap::new();
    for (path, file) in &parsed {
        Reader { takers: &takers, path, found: &mut found }.visit_file(file);
    }
    found
}

/// Functions and closures that take a text under one of the names: in which file, and at which place.
#[derive(Default)]
struct Takers<'a> {
    known: BTreeMap<String, BTreeMap<&'a str, usize>>,
    path: &'a str,
}

impl Takers<'_> {
    fn note<'p>(&mut self, name: &syn::Ident, mut inputs: impl Iterator<Item = &'p Pat>) {
        if let Some(place) = inputs.position(|input| named(input).is_some()) {
            self.known.entry(name.to_string()).or_default().insert(self.path, place);
        }
    }

    /// The place of the text among the arguments: the function of this file goes before those of others.
    fn place(&self, name: &str, path: &str) -> Option<usize> {
        let known = self.known.get(name)?;
        known.get(path).or_else(|| known.values().next()).copied()
    }

    fn note_function(&mut self, signature: &syn::Signature) {
        let inputs = signature.inputs.iter().filter_map(|input| match input {
            syn::FnArg::Typed(typed) => Some(&*typed.pat),
            syn::FnArg::Receiver(_) => None,
        });
        self.note(&signature.ident, inputs);
    }
}

impl<'ast> Visit<'ast> for Takers<'_> {
    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.note_function(signature);
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if let (Pat::Ident(name), Some(init)) = (&local.pat, &local.init)
            && let Expr::Closure(closure) = &*init.expr
        {
            self.note(&name.ident, closure.inputs.iter());
        }
        visit::visit_local(self, local);
    }
}

/// Collects the texts of one file.
struct Reader<'a> {
    takers: &'a Takers<'a>,
    path: &'a str,
    found: &'a mut BTreeMap<String, BTreeSet<String>>,
}

impl Reader<'_> {
    /// Takes the texts that this expression can come to. `must`: there is one, or it is handed on.
    fn take(&mut self, expr: &Expr, must: bool) {
        match expr {
            Expr::Lit(syn::ExprLit { lit: Lit::Str(text), .. }) => self.add(&text.value()),
            Expr::Lit(_) => {}
            Expr::Macro(call) if call.mac.path.is_ident("format") => {
                let first = call.mac.tokens.clone().into_iter().next();
                let text: Option<syn::LitStr> =
                    first.and_then(|token| syn::parse2(token.into()).ok());
                self.add(&text.expect("format! begins with its text").value());
            }
            Expr::Reference(inner) => self.take(&inner.expr, must),
            Expr::Paren(inner) => self.take(&inner.expr, must),
            Expr::MethodCall(call) if call.args.is_empty() => self.take(&call.receiver, must),
            Expr::Block(block) => self.take_end(&block.block, must),
            Expr::If(choice) => {
                self.take_end(&choice.then_branch, must);
                choice.else_branch.iter().for_each(|(_, other)| self.take(other, must));
            }
            Expr::Match(choice) => choice.arms.iter().for_each(|arm| self.take(&arm.body, must)),
            Expr::Path(path)
                if path.path.segments.last().is_some_and(|last| is_name(&last.ident)) => {}
            // A function of that name is read where it is defined.
            Expr::Call(call)
                if called(&call.func).is_some_and(|name| NAMES.contains(&name.as_str())) => {}
            other => assert!(
                !must,
                "{}: a message whose text cannot be found: {}",
                self.path,
                other.to_token_stream()
            ),
        }
    }

    fn take_end(&mut self, block: &Block, must: bool) {
        if let Some(Stmt::Expr(end, None)) = block.stmts.last() {
            self.take(end, must);
        }
    }

    fn add(&mut self, text: &str) {
        let text = key(text);
        // Only what is filled in, or nothing: said elsewhere.
        if text.chars().any(char::is_alphabetic) {
            self.found.entry(text).or_default().insert(self.path.to_owned());
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !module.attrs.iter().any(is_test) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if attribute.path().is_ident("error")
            && let Ok(list) = attribute.meta.require_list()
            && let Some(first) = list.tokens.clone().into_iter().next()
            && let Ok(text) = syn::parse2::<syn::LitStr>(first.into())
        {
            self.add(&text.value());
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        if is_name(&function.sig.ident) {
            self.take_end(&function.block, false);
        }
        visit::visit_item_fn(self, function);
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if let (Some(_), Some(init)) = (named(&local.pat), &local.init) {
            self.take(&init.expr, false);
        }
        visit::visit_local(self, local);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        let text = call.func.to_token_stream().to_string();
        match text.as_str() {
            "Diag :: error" | "Diag :: warning" => self.take(&call.args[0], true),
            "Error :: local" | "Self :: local" => self.take(&call.args[1], false),
            "Err" => self.take(&call.args[0], false),
            _ => {
                let place = called(&call.func).and_then(|name| self.takers.place(&name, self.path));
                place
                    .and_then(|place| call.args.get(place))
                    .into_iter()
                    .for_each(|text| self.take(text, false));
            }
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let method = call.method.to_string();
        match (method.as_str(), call.args.first()) {
            ("ok_or", Some(reason)) => self.take(reason, false),
            ("ok_or_else", Some(Expr::Closure(reason))) => self.take(&reason.body, false),
            _ => {
                let place = self.takers.place(&method, self.path);
                place
                    .and_then(|place| call.args.get(place))
                    .into_iter()
                    .for_each(|text| self.take(text, false));
            }
        }
        visit::visit_expr_method_call(self, call);
    }
}

fn is_name(ident: &syn::Ident) -> bool {
    NAMES.iter().any(|name| ident == name)
}

/// A pattern that binds one of the names, with or without its type.
fn named(pattern: &Pat) -> Option<&syn::Ident> {
    match pattern {
        Pat::Ident(name) if is_name(&name.ident) => Some(&name.ident),
        Pat::Type(typed) => named(&typed.pat),
        _ => None,
    }
}

fn called(function: &Expr) -> Option<String> {
    let Expr::Path(path) = function else { return None };
    path.path.segments.last().map(|last| last.ident.to_string())
}

pub(super) fn is_test(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") && attribute.to_token_stream().to_string().contains("test")
}

/// What a message is known by: its first sentence or clause, with `…` for each `{…}`.
fn key(text: &str) -> String {
    let shown = blanks(text);
    let first =
        shown.split("; ").next().and_then(|first| first.split(". ").next()).unwrap_or_default();
    first.trim_end_matches('.').to_owned()
}

fn blanks(text: &str) -> String {
    let mut shown = String::new();
    let mut depth = 0;
    for letter in text.chars() {
        match letter {
            '{' => {
                depth += 1;
                if depth == 1 {
                    shown.push('…');
                }
            }
            '}' => depth -= 1,
            _ if depth == 0 => shown.push(letter),
            _ => {}
        }
    }
    shown
}
