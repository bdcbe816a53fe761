//! `GET /docs`: the description as a page for people. It is one document without scripts and without
//! anything from elsewhere, so it opens in a branch without a way out.

use std::fmt::Write as _;
use std::sync::OnceLock;

use axum::response::Html;
use serde_json::Value;

use super::ROUTES;
use super::describe::{document, text};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
    code{background:#8882;padding:0 .2em}details{margin:.4rem 0;border-bottom:1px solid #8884}\
    summary{cursor:pointer;padding:.3rem 0}table{border-collapse:collapse;width:100%}\
    td,th{text-align:left;vertical-align:top;padding:.15rem .8rem .15rem 0}.m{display:inline-block;width:3.5rem}\
    @media(prefers-color-scheme:dark){body{background:#111;color:#ddd}a{color:#8bf}}";

/// This API, for people.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "contract",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html"))
)]
pub async fn page() -> Html<&'static str> {
    static PAGE: OnceLock<String> = OnceLock::new();
    Html(PAGE.get_or_init(|| render(document()).expect("a text can be written to")))
}

fn render(api: &Value) -> Result<String, std::fmt::Error> {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Daybook</title><style>{STYLE}</style><h1>Daybook {}</h1>{}\
         <p><a href=\"/openapi.json\">OpenAPI 3.1</a></p>",
        word(&api["info"]["version"]),
        paragraphs(&api["info"]["description"])
    );
    let mut tag = "";
    for route in ROUTES {
        let operation = &api["paths"][route.path][route.method.as_str().to_ascii_lowercase()];
        let its = operation["tags"][0].as_str().unwrap_or_default();
        if its != tag {
            tag = its;
            write!(page, "<h2>{}</h2>", text(tag))?;
        }
        let (method, path) = (route.method.as_str(), text(route.path));
        write!(page, "<details id=\"{}\"><summary>", word(&operation["operationId"]))?;
        write!(page, "<b class=\"m\">{method}</b> <code>{path}</code> {}</summary>", word(&operation["summary"]))?;
        render_operation(&mut page, operation)?;
        page.push_str("</details>");
    }
    page.push_str("<h2>Shapes</h2>");
    for (name, schema) in api["components"]["schemas"].as_object().into_iter().flatten() {
        write!(
            page,
            "<details id=\"shape-{0}\"><summary><code>{0}</code> {1}</summary>",
            text(name),
            first_line(schema)
        )?;
        render_shape(&mut page, schema)?;
        page.push_str("</details>");
    }
    page.push_str("</html>");
    Ok(page)
}

fn render_operation(page: &mut String, operation: &Value) -> std::fmt::Result {
    page.push_str(&paragraphs(&operation["description"]));
    if let Some(roles) = operation["x-roles"].as_array() {
        let roles: Vec<_> = roles.iter().map(word).collect();
        write!(page, "<p>For: {}.</p>", roles.join(", "))?;
    }
    page.push_str("<table>");
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let need = if parameter["required"] == true { "" } else { ", optional" };
        let (name, place, about) = (word(&parameter["name"]), word(&parameter["in"]), word(&parameter["description"]));
        write!(page, "<tr><td><code>{name}</code></td><td>{place}{need}</td><td>{about}</td></tr>")?;
    }
    for (media, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
        write!(page, "<tr><td>body</td><td>{}</td><td>{}", text(media), shape(&content["schema"]))?;
        write!(page, "{}</td></tr>", example(content))?;
    }
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let content = response["content"].as_object().and_then(|content| content.values().next());
        let shape = content.map(|content| shape(&content["schema"])).unwrap_or_default();
        write!(page, "<tr><td>{status}</td><td>{shape}</td><td>{}</td></tr>", paragraphs(&response["description"]))?;
    }
    page.push_str("</table>");
    Ok(())
}

fn render_shape(page: &mut String, schema: &Value) -> std::fmt::Result {
    page.push_str("<table>");
    let needed = schema["required"].as_array();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let is_needed = needed.is_some_and(|names| names.iter().any(|needed| needed == name));
        let need = if is_needed { "" } else { ", optional" };
        let (name, kind, about) = (text(name), shape(property), word(&property["description"]));
        write!(page, "<tr><td><code>{name}</code></td><td>{kind}{need}</td><td>{about}</td></tr>")?;
    }
    for one in schema["oneOf"].as_array().into_iter().flatten() {
        write!(page, "<tr><td>one of</td><td>{}</td><td>{}</td></tr>", shape(one), word(&one["description"]))?;
    }
    page.push_str("</table>");
    page.push_str(&example(schema));
    Ok(())
}

/// The example of a body or a shape, where it has a whole one.
fn example(of: &Value) -> String {
    let whole = of.get("example").filter(|example| example.is_object());
    let pretty = |example| serde_json::to_string_pretty(example).unwrap_or_default();
    whole.map(|example| format!("<pre>{}</pre>", text(&pretty(example)))).unwrap_or_default()
}

/// What a value is, in a word or two.
fn shape(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|at| at.rsplit('/').next()) {
        let name = text(name);
        return format!("<a href=\"#shape-{name}\">{name}</a>");
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        if let Some(shapes) = schema[several].as_array() {
            return shapes.iter().map(shape).collect::<Vec<_>>().join(" or ");
        }
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(word).collect::<Vec<_>>().join(" or "),
        kind => word(kind),
    };
    match (&schema["items"], schema["format"].as_str(), schema["properties"].as_object()) {
        (Value::Object(_), ..) => format!("list of {}", shape(&schema["items"])),
        (_, Some(format), _) => format!("{kind} ({})", text(format)),
        (_, _, Some(named)) => {
            let named: Vec<_> =
                named.iter().map(|(name, of)| format!("<code>{}</code>: {}", text(name), shape(of))).collect();
            named.join(", ")
        }
        _ => kind,
    }
}

fn word(value: &Value) -> String {
    value.as_str().map(text).unwrap_or_default()
}

fn first_line(schema: &Value) -> String {
    text(schema["description"].as_str().and_then(|about| about.lines().next()).unwrap_or_default())
}

fn paragraphs(value: &Value) -> String {
    let about = value.as_str().unwrap_or_default();
    let parts = about.split("\n\n").filter(|part| !part.is_empty());
    parts.fold(String::new(), |page, part| page + "<p>" + &text(part) + "</p>")
}
