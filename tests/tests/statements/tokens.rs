//! Rust source as token trees, so that comments, escapes and macro calls need no guessing.

use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};

/// A source file: its path and its tokens.
#[derive(Debug)]
pub struct Source {
    pub path: PathBuf,
    pub tokens: Vec<TokenTree>,
}

/// Every Rust file below a folder that is part of the product: not what only tests use.
pub fn product_sources(folder: &Path) -> Vec<Source> {
    let mut paths = vec![folder.to_owned()];
    let mut sources = Vec::new();
    while let Some(path) = paths.pop() {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            let children = std::fs::read_dir(&path).expect("a folder of the source can be listed");
            paths.extend(children.map(|child| child.expect("a folder of the source can be listed").path()));
        } else if Path::new(name).extension().is_some_and(|ext| ext == "rs") && !is_test(name) {
            let text = std::fs::read_to_string(&path).expect("the source can be read");
            let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            sources.push(Source { path, tokens: without_tests(tokens) });
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

fn is_test(file: &str) -> bool {
    file == "testing.rs" || file.ends_with("tests.rs")
}

/// The tokens without attributes (and so without doc comments), and without what `#[cfg(test)]` stands
/// before.
fn without_tests(tokens: TokenStream) -> Vec<TokenTree> {
    let mut kept = Vec::new();
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        if !is_punct(&token, '#') {
            kept.push(token);
            continue;
        }
        rest.next_if(|next| is_punct(next, '!'));
        let attribute = rest.next_if(|next| group(next, Delimiter::Bracket).is_some());
        if attribute.is_some_and(|attribute| attribute.to_string().replace(' ', "") == "[cfg(test)]") {
            let ends = |token: &TokenTree| is_punct(token, ';') || group(token, Delimiter::Brace).is_some();
            while rest.next().is_some_and(|token| !ends(&token)) {}
        }
    }
    kept
}

/// The tokens inside a group, without attributes and tests.
pub fn inside(token: &TokenTree) -> Option<Vec<TokenTree>> {
    match token {
        TokenTree::Group(group) => Some(without_tests(group.stream())),
        _ => None,
    }
}

/// The tokens of a group with this delimiter.
pub fn group(token: &TokenTree, delimiter: Delimiter) -> Option<Vec<TokenTree>> {
    match token {
        TokenTree::Group(group) if group.delimiter() == delimiter => Some(without_tests(group.stream())),
        _ => None,
    }
}

pub fn ident(token: &TokenTree) -> Option<&Ident> {
    match token {
        TokenTree::Ident(ident) => Some(ident),
        _ => None,
    }
}

pub fn is_ident(token: &TokenTree, name: &str) -> bool {
    ident(token).is_some_and(|ident| ident == name)
}

pub fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}

/// The name and the tokens of a call `name!(...)` that starts here.
pub fn macro_call(tokens: &[TokenTree]) -> Option<(String, Vec<TokenTree>)> {
    let [name, bang, arguments, ..] = tokens else { return None };
    let name = ident(name).filter(|_| is_punct(bang, '!'))?;
    Some((name.to_string(), inside(arguments)?))
}

/// The value of a string literal.
pub fn text(token: &TokenTree) -> Option<String> {
    let TokenTree::Literal(literal) = token else { return None };
    let spelled = literal.to_string();
    if let Some(raw) = spelled.strip_prefix('r') {
        let raw = raw.trim_matches('#');
        return Some(raw.strip_prefix('"')?.strip_suffix('"')?.to_owned());
    }
    let inner = spelled.strip_prefix('"')?.strip_suffix('"')?;
    let mut value = String::with_capacity(inner.len());
    let mut chars = inner.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next()? {
                '\n' => while chars.next_if(|next| next.is_whitespace()).is_some() {},
                'n' => value.push('\n'),
                't' => value.push('\t'),
                // Statements hold no others; whatever else a text holds, it is none.
                other => value.push(other),
            },
            char => value.push(char),
        }
    }
    Some(value)
}

/// Tokens split at the commas between them.
pub fn by_commas(tokens: &[TokenTree]) -> Vec<&[TokenTree]> {
    tokens.split(|token| is_punct(token, ',')).filter(|part| !part.is_empty()).collect()
}
