use super::*;

fn of(value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))])
}

#[test]
fn grpc_is_told_by_its_media_type() {
    for value in [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc;charset=utf-8",
        "application/grpc ; a=b",
        "Application/GRPC+json",
    ] {
        assert!(is_grpc(&of(value)), "{value}");
    }
}

#[test]
fn other_media_types_are_not_grpc() {
    for value in [
        "",
        "application/grp",
        "application/grpc-web",
        "application/grpcx",
        "text/plain",
    ] {
        assert!(!is_grpc(&of(value)), "{value}");
    }
    assert!(!is_grpc(&HeaderMap::new()));
}

#[test]
fn problem_documents_are_told_by_their_media_type() {
    for value in [
        "application/problem+json",
        "APPLICATION/problem+json; charset=utf-8",
    ] {
        assert!(is_problem_json(&of(value)), "{value}");
    }
    for value in [
        "application/json",
        "application/problem+xml",
        "application/problem+json5",
    ] {
        assert!(!is_problem_json(&of(value)), "{value}");
    }
}
