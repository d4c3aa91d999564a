use super::*;
use crate::domain::Code;

fn raw(status: u16, body: impl AsRef<[u8]>) -> Raw {
    Raw {
        status,
        retry_after: None,
        body: body.as_ref().to_vec(),
    }
}

fn judged(status: u16, body: impl AsRef<[u8]>) -> Result<Good, Bad> {
    judge(&raw(status, body), &|text| text.replace("s3cret", "[key]"))
}

#[track_caller]
fn failure(status: u16, body: impl AsRef<[u8]>) -> CallFailure {
    judged(status, body).unwrap_err().failure
}

#[track_caller]
fn is_unknown(status: u16, body: impl AsRef<[u8]>) {
    let text = String::from_utf8_lossy(body.as_ref()).into_owned();
    let failure = failure(status, body);
    assert!(
        matches!(failure, CallFailure::Unknown { .. }),
        "{status} {text}: {failure:?}"
    );
}

#[track_caller]
fn is_refused(status: u16, body: &str, code: Code, says: &str) {
    match failure(status, body) {
        CallFailure::Refused { code: is, detail } => {
            assert_eq!((is, detail.as_str()), (code, says), "{status} {body}");
        }
        other => panic!("{status} {body}: {other:?}"),
    }
}

#[test]
fn what_cannot_be_read_is_unknown_whatever_the_status() {
    for status in [200, 201, 302, 400, 401, 403, 404, 500, 502, 503, 504] {
        is_unknown(status, "");
        is_unknown(status, "<html><body>Server Error</body></html>");
        is_unknown(status, "\n  <!DOCTYPE html>");
        is_unknown(status, "upstream connect error");
        is_unknown(status, "[]");
        is_unknown(status, "null");
        is_unknown(
            status,
            r#"{"success": false, "errors": [{"message": "x", "det"#,
        );
        is_unknown(status, r#"{"success": true, "labels": ["JVBER"#);
        is_unknown(status, b"\xff\xfe\x00");
        is_unknown(status, b"\x1f\x8b\x08");
    }
}

#[test]
fn an_error_without_success_false_is_not_a_refusal() {
    is_unknown(500, r#"{"message": "An error has occurred."}"#);
    is_unknown(400, r#"{"errors": [{"message": "Weight is required"}]}"#);
    is_unknown(
        500,
        r#"{"statusCode": 500, "message": "Internal server error"}"#,
    );
    is_unknown(
        200,
        r#"{"statusCode": 500, "message": "Internal server error"}"#,
    );
    is_unknown(
        404,
        r#"{"statusCode": 404, "message": "Resource not found"}"#,
    );
    is_unknown(403, r#"{}"#);
    is_unknown(502, r#"{"success": null}"#);
}

#[test]
fn a_failure_that_brings_what_the_call_makes_may_have_been_done() {
    is_unknown(200, r#"{"success": false, "tracking_numbers": ["X1"]}"#);
    is_unknown(200, r#"{"success": false, "labels": ["JVBERg=="]}"#);
    is_unknown(
        200,
        r#"{"success": false, "order": {"order_id": 5}, "errors": [{"message": "warnings"}]}"#,
    );
    is_refused(
        200,
        r#"{"success": false, "labels": [], "tracking_numbers": [null, ""], "label_types": [],
            "order_id": 5, "errors": [{"message": "General Exception", "details": "No courier is set"}]}"#,
        Code::CourierMissing,
        "No courier is set",
    );
}

#[test]
fn a_refusal_is_read_in_every_shape_of_errors_and_under_every_status() {
    let text = "Unable to find order number: 9";
    for body in [
        r#"{"success": false, "errors": [{"message": "General Exception", "details": "Unable to find order number: 9"}]}"#,
        r#"{"success": false, "errors": ["Unable to find order number: 9"]}"#,
        r#"{"success": false, "errors": "Unable to find order number: 9"}"#,
        r#"{"success": false, "errors": {"message": "Unable to find order number: 9", "details": null}}"#,
        r#"{"success": 0, "errors": null, "message": "Unable to find order number: 9"}"#,
        r#"{"success": "false", "errors": [null, 7, {"details": "Unable to find order number: 9"}]}"#,
        "\u{feff}{\"errors\":[{\"Message\":\"Unable to find order number: 9\"}],\"success\":false}",
    ] {
        for status in [200, 400, 404, 500] {
            is_refused(status, body, Code::OrderNotFound, text);
        }
    }
    is_refused(200, r#"{"success": false}"#, Code::CourierRefused, "");
}

#[test]
fn the_gateways_own_refusals_have_another_shape() {
    for status in [401, 403] {
        let body = format!(
            r#"{{"statusCode": {status}, "message": "Access denied due to invalid subscription key."}}"#
        );
        for http in [status, 200] {
            is_refused(
                http,
                &body,
                Code::StarshipitUnauthorized,
                "Access denied due to invalid subscription key.",
            );
        }
    }
    is_refused(
        403,
        r#"{"statusCode": 403, "message": "Out of call volume quota. Quota will be replenished in 01:00:00."}"#,
        Code::QuotaExhausted,
        "Out of call volume quota. Quota will be replenished in 01:00:00.",
    );
    is_refused(
        401,
        r#"{"success": false, "errors": [{"details": "Nope"}]}"#,
        Code::StarshipitUnauthorized,
        "Nope",
    );
}

#[test]
fn a_429_is_one_whether_the_status_or_the_body_says_so() {
    let throttled = |retry_after| CallFailure::Throttled { retry_after };
    let second = Duration::from_secs(1);
    let body =
        r#"{"statusCode": 429, "message": "Rate limit is exceeded. Try again in 1 seconds."}"#;
    for status in [429, 200, 403] {
        assert_eq!(failure(status, body), throttled(Some(second)), "{status}");
    }
    for body in [
        "",
        "<html>",
        "{",
        r#"{"success": false, "message": "wait"}"#,
    ] {
        assert_eq!(failure(429, body), throttled(None), "{body}");
    }
    let with_header = Raw {
        retry_after: Some(Duration::from_secs(9)),
        ..raw(429, body)
    };
    let bad = judge(&with_header, &str::to_owned).unwrap_err();
    assert_eq!(bad.failure, throttled(Some(Duration::from_secs(9))));
    assert_eq!(bad.again, Again::WhenLet);
}

#[test]
fn only_what_may_pass_is_worth_another_try() {
    for (status, body, again) in [
        (500, "<html>", Again::Soon),
        (503, "", Again::Soon),
        (200, "<html>", Again::Never),
        (404, "<html>", Again::Never),
        (500, r#"{"success": false}"#, Again::Never),
        (401, r#"{"message": "no"}"#, Again::Never),
    ] {
        assert_eq!(
            judged(status, body).unwrap_err().again,
            again,
            "{status} {body}"
        );
    }
}

#[test]
fn a_detail_has_no_key_no_control_character_and_an_end() {
    let body = format!(
        r#"{{"success": false, "errors": ["Invalid key s3cret\u001b[31m\r\n{}"]}}"#,
        "x".repeat(5_000)
    );
    let CallFailure::Refused { detail, .. } = failure(200, body) else {
        panic!()
    };
    assert!(detail.starts_with("Invalid key [key][31mxxx"), "{detail}");
    assert!(detail.len() <= 200);
}

#[test]
fn a_good_reply_is_one_with_or_without_the_word() {
    assert!(judged(200, r#"{"success": true}"#).unwrap().is_said);
    assert!(
        judged(200, r#"{"success": 1, "errors": []}"#)
            .unwrap()
            .is_said
    );
    assert!(
        !judged(200, r#"{"order": {"order_id": 5}}"#)
            .unwrap()
            .is_said
    );
    // The order was printed, whatever the status line says of it.
    assert!(
        judged(500, r#"{"success": true, "labels": ["JVBERg=="]}"#)
            .unwrap()
            .is_said
    );
}

#[test]
fn broken_characters_cost_the_character_and_not_the_reply() {
    let name = |body: &[u8]| {
        let orders = judged(200, body).unwrap().reply.into_orders();
        orders[0]
            .destination
            .0
            .as_ref()
            .unwrap()
            .name
            .owned()
            .unwrap()
    };
    let order = |text: &[u8]| {
        let mut body = br#"{"success":true,"order":{"order_id":5,"destination":{"name":""#.to_vec();
        body.extend_from_slice(text);
        body.extend_from_slice(br#""}}}"#);
        body
    };
    assert_eq!(name(&order(br"Ana \ud83d")), "Ana \u{fffd}");
    assert_eq!(
        name(&order(br"\udc00 \\ud83d \ud83d\ude00")),
        "\u{fffd} \\ud83d \u{1f600}"
    );
    assert_eq!(name(&order(b"Caf\xe9")), "Caf\u{fffd}");
}
