//! An HTTP request as a function gets it: payload format 2.0, as Function URLs and HTTP APIs send it.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

use crate::{
    function::{Function, civil_date},
    http::Request,
};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The event of one request.
pub(crate) fn event(function: &Function, request: &Request, request_id: &str) -> Value {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let header = |name: &str| request.header(name).unwrap_or_default().into_owned();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let milliseconds = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers(request),
        "requestContext": {
            "accountId": "anonymous",
            "apiId": function.name,
            // By which functions know a Function URL.
            "domainName": format!("{}.lambda-url.{}.on.aws", function.name, function.region),
            "domainPrefix": function.name,
            "http": {
                "method": request.method,
                "path": path,
                "protocol": request.version,
                "sourceIp": "127.0.0.1",
                "userAgent": header("user-agent"),
            },
            "requestId": request_id,
            "routeKey": "$default",
            "stage": "$default",
            "time": time(now.as_secs()),
            "timeEpoch": milliseconds,
        },
        "isBase64Encoded": false,
    });
    let cookies = header("cookie");
    if !cookies.is_empty() {
        event["cookies"] = cookies.split("; ").collect();
    }
    if !query.is_empty() {
        event["queryStringParameters"] = parameters(query).into();
    }
    if !request.body.is_empty() {
        let text = std::str::from_utf8(&request.body).ok().filter(|_| is_text(&header("content-type")));
        event["isBase64Encoded"] = text.is_none().into();
        event["body"] = text.map_or_else(|| BASE64_STANDARD.encode(&request.body), str::to_owned).into();
    }
    event
}

/// By lower-case names; what was sent more than once is one text. Cookies have a place of their own.
fn headers(request: &Request) -> Map<String, Value> {
    let mut headers = Map::new();
    for (name, value) in &request.headers {
        let name = name.to_ascii_lowercase();
        if name != "cookie" {
            join(&mut headers, name, &String::from_utf8_lossy(value));
        }
    }
    headers
}

fn parameters(query: &str) -> Map<String, Value> {
    let mut parameters = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        join(&mut parameters, decoded(name), &decoded(value));
    }
    parameters
}

fn join(map: &mut Map<String, Value>, name: String, value: &str) {
    match map.get_mut(&name) {
        Some(Value::String(first)) => {
            first.push(',');
            first.push_str(value);
        }
        _ => drop(map.insert(name, value.into())),
    }
}

/// Text of a query string: `+` is a blank, `%41` a byte.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(if first == b'+' { b' ' } else { first });
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether a body of that type travels as it is. Anything else does in base64.
fn is_text(content_type: &str) -> bool {
    let content_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    content_type.starts_with("text/")
        || ["json", "xml", "javascript", "x-www-form-urlencoded"].iter().any(|kind| content_type.ends_with(kind))
}

/// Such as `21/Nov/2026:07:00:09 +0000`.
fn time(seconds: u64) -> String {
    let (year, month, day) = civil_date(seconds / 86_400);
    let month = MONTHS[usize::try_from(month - 1).expect("a month")];
    let of_day = seconds % 86_400;
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000")
}

#[cfg(test)]
mod tests {
    use super::{decoded, is_text, parameters, time};

    #[test]
    fn times_are_written_as_in_access_logs() {
        assert_eq!(time(1_795_244_409), "21/Nov/2026:07:00:09 +0000");
    }

    #[test]
    fn parameters_are_decoded_and_joined() {
        assert_eq!(decoded("a%20b+c%C3%A9%zz%"), "a b cé%zz%");
        let parameters = serde_json::Value::from(parameters("a=1&b=%26&a=2&c"));
        assert_eq!(parameters, serde_json::json!({"a": "1,2", "b": "&", "c": ""}));
    }

    #[test]
    fn forms_and_documents_are_text() {
        for text in ["text/plain; charset=utf-8", "application/json", "application/problem+json", "IMAGE/SVG+XML"] {
            assert!(is_text(text), "{text}");
        }
        for binary in ["", "image/png", "application/octet-stream"] {
            assert!(!is_text(binary), "{binary}");
        }
    }
}
