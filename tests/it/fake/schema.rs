//! Which schemas the providers take.

use serde_json::Value;

/// What OpenAI's strict mode refuses in a schema.
pub fn openai_fault(schema: &Value) -> Option<String> {
    const KNOWN: &[&str] = &[
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "enum",
        "const",
        "anyOf",
        "$ref",
        "$defs",
        "description",
        "title",
        "pattern",
        "format",
        "multipleOf",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minItems",
        "maxItems",
    ];
    if schema["type"] != "object" {
        return Some("schema must be of type object".to_owned());
    }
    each(schema, &mut |schema| {
        let fields = schema.as_object()?;
        if let Some(name) = fields.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            return Some(format!("'{name}' is not permitted"));
        }
        if !["type", "anyOf", "$ref"].iter().any(|name| fields.contains_key(*name)) {
            return Some(format!("schema must have a 'type' key: {schema}"));
        }
        if fields.contains_key("$ref") && fields.len() > 1 {
            return Some("$ref cannot have keywords beside it".to_owned());
        }
        let properties = schema["properties"].as_object()?;
        if schema["additionalProperties"] != false {
            return Some("'additionalProperties' is required to be supplied and to be false".to_owned());
        }
        let missing = properties.keys().find(|name| !requires(schema, name))?;
        Some(format!("'required' must include every key in properties. Missing '{missing}'"))
    })
}

/// What Anthropic refuses in a schema.
pub fn anthropic_fault(schema: &Value) -> Option<String> {
    const KNOWN: &[&str] = &[
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "enum",
        "const",
        "anyOf",
        "allOf",
        "$ref",
        "$defs",
        "definitions",
        "description",
        "title",
        "default",
        "format",
        "pattern",
        "minItems",
    ];
    if schema["type"] != "object" {
        return Some("schema must be of type object".to_owned());
    }
    let (mut optional, mut unions) = (0, 0);
    let fault = each(schema, &mut |schema| {
        let fields = schema.as_object()?;
        if let Some(name) = fields.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            return Some(format!("property '{name}' is not supported"));
        }
        if schema["minItems"].as_u64().is_some_and(|least| least > 1) {
            return Some("minItems must be 0 or 1".to_owned());
        }
        unions += usize::from(fields.contains_key("anyOf") || schema["type"].is_array());
        let properties = schema["properties"].as_object()?;
        optional += properties.keys().filter(|name| !requires(schema, name)).count();
        (schema["additionalProperties"] != false).then(|| "'additionalProperties' must be false".to_owned())
    });
    fault
        .or_else(|| (optional > 24).then(|| format!("{optional} optional properties are too many")))
        .or_else(|| (unions > 16).then(|| format!("{unions} unions are too many")))
}

/// What Gemini refuses in a schema, or ignores in silence: a bound that is not kept is a fault, too.
pub fn gemini_fault(schema: &Value) -> Option<String> {
    const KNOWN: &[&str] = &[
        "$id",
        "$defs",
        "$ref",
        "$anchor",
        "type",
        "format",
        "title",
        "description",
        "enum",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "anyOf",
        "oneOf",
        "properties",
        "additionalProperties",
        "required",
        "propertyOrdering",
    ];
    each(schema, &mut |schema| {
        let fields = schema.as_object()?;
        if let Some(name) = fields.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            return Some(format!("'{name}' is ignored"));
        }
        let beside = fields.keys().find(|name| !name.starts_with('$'))?;
        fields.contains_key("$ref").then(|| format!("'{beside}' beside $ref"))
    })
}

/// The schema that a prompt holds in words; null where there is none.
pub fn in_prompt(prompt: &str) -> Value {
    let objects = prompt
        .match_indices('{')
        .filter_map(|(at, _)| serde_json::Deserializer::from_str(&prompt[at..]).into_iter::<Value>().next()?.ok());
    objects.into_iter().find(|value| value["properties"].is_object()).unwrap_or_default()
}

fn requires(schema: &Value, name: &str) -> bool {
    schema["required"].as_array().is_some_and(|list| list.iter().any(|required| required == name))
}

/// Looks at a schema and at all that it holds, in the places of schemas alone: a property may be called as a keyword is.
fn each(schema: &Value, look: &mut impl FnMut(&Value) -> Option<String>) -> Option<String> {
    if let Some(fault) = look(schema) {
        return Some(fault);
    }
    let maps = ["properties", "$defs", "definitions"].iter().filter_map(|name| schema[*name].as_object());
    let lists = ["anyOf", "allOf", "oneOf", "prefixItems"].iter().filter_map(|name| schema[*name].as_array());
    let inner: Vec<&Value> =
        maps.flat_map(|map| map.values()).chain(lists.flatten()).chain(schema.get("items")).collect();
    inner.into_iter().find_map(|schema| each(schema, look))
}
