//! Every SQL statement that is written in a crate's source.
//!
//! A statement is a text, or texts joined by `concat!` and by macros of at most one argument, or a `const`
//! with a locking clause behind it. It may stand anywhere: a `const`, a table of them, an argument. Only
//! `db/batch.rs` composes statements, from a batch's tail, and backups, from the engine's catalogue; the scan fails for a text it cannot follow.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, Group, TokenTree};

use super::tokens::{Source, by_commas, group, ident, inside, is_ident, is_punct, macro_call, text};

/// A clause that only PostgreSQL has, and needs.
const LOCKING: &str = "for no key update";
/// A function that only PostgreSQL has, and needs.
const ADVISORY: &str = "pg_advisory_xact_lock(";

/// A statement as written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Statement {
    /// The file, from the crate's `src` on.
    pub file: String,
    /// The statement, or a batch's tail.
    pub sql: String,
}

impl Statement {
    /// Whether it locks rows, or subjects, one by one, which is said to PostgreSQL alone.
    pub fn locks(&self) -> bool {
        self.sql.contains(LOCKING) || self.sql.contains(ADVISORY)
    }
}

/// A type of a batch's rows: its columns with PostgreSQL's types.
#[derive(Debug, Clone)]
pub struct Rows {
    pub file: String,
    pub name: String,
    pub columns: Vec<(String, String)>,
}

/// What a crate's source holds.
#[derive(Debug, Default)]
pub struct Scan {
    pub statements: BTreeSet<Statement>,
    pub rows: Vec<Rows>,
    /// What could not be followed: each is a statement that would be forgotten.
    pub problems: Vec<String>,
}

/// Constants by name, as the tokens of their expressions.
type Consts = BTreeMap<String, Vec<TokenTree>>;
/// Macros of one arm by name: their parameter, if there is one, and their expression.
type Macros = BTreeMap<String, (Option<String>, Vec<TokenTree>)>;

struct Reader<'a> {
    file: String,
    consts: &'a Consts,
    macros: &'a Macros,
    shared_macros: &'a Macros,
    clauses: BTreeSet<String>,
    used_clauses: BTreeSet<String>,
    scan: Scan,
}

/// Scans sources; `composers` are the files that may compose statements.
pub fn scan(sources: &[Source], composers: &[&str]) -> Scan {
    let named: Vec<(Consts, Macros)> = sources.iter().map(|source| named(&source.tokens)).collect();
    // A macro that is used in another file is `#[macro_export]`ed, so its name is the crate's.
    let shared: Macros = named.iter().flat_map(|(_, macros)| macros.clone()).collect();
    let consts: BTreeSet<&String> = named.iter().flat_map(|(consts, _)| consts.keys()).collect();
    let mut all = Scan::default();
    for (source, (own_consts, own_macros)) in sources.iter().zip(&named) {
        let path = source.path.to_string_lossy();
        let file = path.split_once("/src/").map_or(&*path, |(_, file)| file).to_owned();
        if composers.contains(&file.as_str()) {
            continue;
        }
        let mut reader = Reader {
            file,
            consts: own_consts,
            macros: own_macros,
            shared_macros: &shared,
            clauses: BTreeSet::new(),
            used_clauses: BTreeSet::new(),
            scan: Scan::default(),
        };
        reader.walk(&source.tokens);
        reader.calls(&source.tokens, &consts);
        let forgotten = reader.clauses.difference(&reader.used_clauses);
        let forgotten: Vec<_> =
            forgotten.map(|clause| format!("{}: nothing locks by {clause:?}", reader.file)).collect();
        all.statements.extend(reader.scan.statements);
        all.rows.extend(reader.scan.rows);
        all.problems.extend(reader.scan.problems.into_iter().chain(forgotten));
    }
    all
}

/// The constants and the macros of at most one argument that are declared anywhere in these tokens.
fn named(tokens: &[TokenTree]) -> (Consts, Macros) {
    let (mut consts, mut macros) = (Consts::new(), Macros::new());
    for (at, token) in tokens.iter().enumerate() {
        let rest = &tokens[at..];
        if is_ident(token, "const") && rest.len() > 2 && is_punct(&rest[2], ':') {
            let value = rest.iter().skip_while(|token| !is_punct(token, '='));
            let value = value.skip(1).take_while(|token| !is_punct(token, ';')).cloned().collect();
            consts.insert(rest[1].to_string(), value);
        } else if let [name, bang, called, body, ..] = rest
            && is_ident(name, "macro_rules")
            && is_punct(bang, '!')
            && let Some([arguments, _, _, body, ..]) = inside(body).as_deref()
            && let Some(arguments @ ([] | [_, _, _, _])) = inside(arguments).as_deref()
        {
            // `$condition:literal`
            let parameter = arguments.get(1).map(ToString::to_string);
            macros.insert(called.to_string(), (parameter, inside(body).unwrap_or_default()));
        } else if let Some(inner) = inside(token) {
            let (more_consts, more_macros) = named(&inner);
            consts.extend(more_consts);
            macros.extend(more_macros);
        }
    }
    (consts, macros)
}

impl Reader<'_> {
    /// Finds statements and rows.
    fn walk(&mut self, tokens: &[TokenTree]) {
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let rest = &tokens[at..];
            if is_ident(token, "macro_rules") {
                // Parts of statements, read where they are used.
                at += 4;
            } else if let Some((value, taken)) = self.value(rest) {
                self.found(&value);
                at += taken;
            } else {
                match macro_call(rest) {
                    Some((name, body)) if name == "batch_row" => self.batch_rows(&body),
                    Some((name, body)) if name == "format" => self.formatted(&body),
                    _ => {}
                }
                if let Some(inner) = inside(token) {
                    self.locking_arguments(&inner);
                    self.walk(&inner);
                }
                at += 1;
            }
        }
    }

    /// The text that an expression at the beginning of `tokens` is, and how many tokens it takes.
    fn value(&self, tokens: &[TokenTree]) -> Option<(String, usize)> {
        if let Some(value) = text(tokens.first()?) {
            return Some((value, 1));
        }
        let (name, arguments) = macro_call(tokens)?;
        if name == "concat" {
            let parts = by_commas(&arguments).into_iter().map(|part| Some(self.value(part)?.0));
            return Some((parts.collect::<Option<String>>()?, 3));
        }
        let (parameter, body) = self.macros.get(&name).or_else(|| self.shared_macros.get(&name))?;
        let body = parameter.as_ref().map_or_else(|| body.clone(), |name| substituted(body, name, &arguments));
        Some((self.value(&body)?.0, 3))
    }

    fn found(&mut self, value: &str) {
        if is_statement(value) {
            self.scan.statements.insert(Statement { file: self.file.clone(), sql: value.to_owned() });
        } else if value.contains(LOCKING) {
            self.clauses.insert(value.to_owned());
        }
    }

    /// `format!("{SELECT}{LOCKED}")`: constants only, or it is a statement nobody can prepare.
    fn formatted(&mut self, body: &[TokenTree]) {
        let Some(form) = body.first().and_then(text) else { return };
        let mut sql = String::new();
        for (n, part) in form.split('{').enumerate() {
            let Some((name, after)) = part.split_once('}').filter(|_| n > 0) else {
                sql.push_str(part);
                continue;
            };
            match self.consts.get(name).and_then(|tokens| self.value(tokens)) {
                Some((value, _)) if is_statement(&value) || value.contains(LOCKING) => {
                    self.used_clauses.insert(value.clone());
                    sql.push_str(&value);
                }
                _ if is_statement(&sql) || is_statement(&form) => {
                    return self.scan.problems.push(format!("{}: a statement is composed: {form:?}", self.file));
                }
                _ => return,
            }
            sql.push_str(after);
        }
        self.found(&sql);
    }

    /// `locking(tx, SELECT, " for no key update of d")`: the constant with the clause behind it.
    fn locking_arguments(&mut self, arguments: &[TokenTree]) {
        let arguments = by_commas(arguments);
        let values: Vec<String> = arguments.iter().filter_map(|argument| Some(self.value(argument)?.0)).collect();
        for clause in values.iter().filter(|value| value.contains(LOCKING) && !is_statement(value)) {
            let constants = arguments.iter().filter_map(|argument| self.consts.get(&argument.last()?.to_string()));
            let selects: Vec<String> = constants.filter_map(|tokens| Some(self.value(tokens)?.0)).collect();
            for select in selects {
                self.found(&format!("{select}{clause}"));
                self.used_clauses.insert(clause.clone());
            }
        }
    }

    fn batch_rows(&mut self, body: &[TokenTree]) {
        let at = body.iter().position(|token| is_ident(token, "struct")).expect("batch_row! declares a struct");
        let fields = group(&body[at + 2], Delimiter::Brace).expect("batch_row! declares fields");
        let mut columns = Vec::new();
        let mut field = None;
        for pair in fields.windows(2) {
            if field.is_none() && is_punct(&pair[1], ':') {
                field = ident(&pair[0]).map(ToString::to_string);
            } else if let Some(ty) = text(&pair[1])
                && let Some(name) = field.take()
            {
                columns.push((name, ty));
            }
        }
        self.scan.rows.push(Rows { file: self.file.clone(), name: body[at + 1].to_string(), columns });
    }

    /// What is run is a constant, a text, or a variable, which sqlx takes only if it is one of those.
    fn calls(&mut self, tokens: &[TokenTree], consts: &BTreeSet<&String>) {
        for (at, token) in tokens.iter().enumerate() {
            if is_ident(token, "AssertSqlSafe") {
                self.scan.problems.push(format!("{}: AssertSqlSafe hides a statement", self.file));
            }
            let Some(inner) = inside(token) else { continue };
            self.calls(&inner, consts);
            let Some(run) = called(&tokens[..at]).filter(|_| group(token, Delimiter::Parenthesis).is_some()) else {
                continue;
            };
            let arguments = by_commas(&inner);
            let argument = if run == "batch" { arguments.last() } else { arguments.first() };
            let Some(argument) = argument.and_then(|argument| argument.last()) else { continue };
            let name = argument.to_string();
            let is_const = name.chars().all(|char| char.is_ascii_uppercase() || char.is_ascii_digit() || char == '_');
            if !is_const {
                continue;
            }
            let known = match self.consts.get(&name) {
                Some(tokens) => self.value(tokens).is_some_and(|(value, _)| is_statement(&value)),
                None => consts.contains(&name),
            };
            if !known {
                self.scan.problems.push(format!("{}: {name} is run and was not recognised", self.file));
            }
        }
    }
}

/// A macro's expression with the argument in its parameter's places.
fn substituted(body: &[TokenTree], parameter: &str, argument: &[TokenTree]) -> Vec<TokenTree> {
    let mut tokens = Vec::with_capacity(body.len());
    let mut rest = body;
    while let [token, after @ ..] = rest {
        rest = after;
        match (token, after) {
            (dollar, [name, after @ ..]) if is_punct(dollar, '$') && is_ident(name, parameter) => {
                tokens.extend_from_slice(argument);
                rest = after;
            }
            (TokenTree::Group(group), _) => {
                let inner = substituted(&inside(token).unwrap_or_default(), parameter, argument);
                tokens.push(Group::new(group.delimiter(), inner.into_iter().collect()).into());
            }
            _ => tokens.push(token.clone()),
        }
    }
    tokens
}

/// What runs a statement, if the tokens before an argument list name it.
fn called(before: &[TokenTree]) -> Option<&'static str> {
    // `query_as::<_, T>(`: back over the type arguments.
    let end = match before.last() {
        Some(token) if is_punct(token, '>') => before.iter().rposition(|token| is_punct(token, '<'))?.checked_sub(2)?,
        _ => before.len(),
    };
    let [.., path, _, _, name] = &before[..end] else { return None };
    match name.to_string().as_str() {
        "query" | "query_as" | "query_scalar" if is_ident(path, "sqlx") => Some("sqlx"),
        "fetch" | "insert" | "execute" if is_ident(path, "batch") => Some("batch"),
        _ => None,
    }
}

/// Whether a text is a whole statement and not a sentence.
fn is_statement(text: &str) -> bool {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let has = |word: &str| words.contains(word);
    match words.split(' ').next() {
        Some("select") => has(" from "),
        Some("insert") => words.starts_with("insert into "),
        Some("update") => has(" set "),
        Some("delete") => words.starts_with("delete from "),
        Some("with") => has(" as (") && ["select ", "insert ", "update ", "delete "].iter().any(|verb| has(verb)),
        _ => false,
    }
}
