//! The OpenAPI document.

mod answers;
mod document;

use serde_json::{Value, json};
use tower_async_job::{AsyncJobLayer, Builder};
use utoipa::openapi::{
    HttpMethod, Info, OpenApi, OpenApiBuilder, PathItem, PathsBuilder, Response,
    path::OperationBuilder,
};

const JOB: &str = "/work/{id}";
const STATUS: &str = "/work/{id}/status";
const EVENTS: &str = "/work/{id}/events";

fn json_of(document: &OpenApi) -> Value {
    serde_json::to_value(document).expect("json")
}

/// Resolves a reference within the document.
fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').expect("within the document");
            document
                .pointer(pointer)
                .unwrap_or_else(|| panic!("{reference} leads nowhere"))
        }
        None => value,
    }
}

#[track_caller]
fn assert_conforms(document: &Value, schema: &Value, value: &Value) {
    let mut root = json!({ "components": document["components"] });
    for (keyword, rule) in schema.as_object().expect("a schema") {
        root[keyword] = rule.clone();
    }
    let validator = jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&root)
        .expect("a JSON Schema");
    let errors: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{value}: {errors:?}");
}

/// Returns an application's own document, with one operation that may become a job.
fn merged(layer: &AsyncJobLayer) -> OpenApi {
    let operation = OperationBuilder::new()
        .responses(layer.openapi_responses())
        .response("200", Response::new("The report"));
    let paths = PathsBuilder::new().path("/report", PathItem::new(HttpMethod::Post, operation));
    let mut api: OpenApi = OpenApiBuilder::new()
        .info(Info::new("Reports", "1.0.0"))
        .paths(paths)
        .build();
    api.merge(layer.openapi());
    api
}

fn builder() -> Builder {
    AsyncJobLayer::builder()
}
