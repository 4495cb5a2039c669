use super::*;

fn head(field: &str) -> String {
    field.parse::<Field>().unwrap().head("b")
}

fn content(field: &str) -> Part {
    field.parse::<Field>().unwrap().content
}

#[test]
fn fields_are_those_of_curl() {
    let disposition = "--b\r\nContent-Disposition: form-data; name=";
    for (field, expected) in [
        ("a=b", "\"a\"\r\n\r\n"),
        ("a\"\n=b", "\"a%22%0A\"\r\n\r\n"),
        (
            "a={};type=application/json",
            "\"a\"\r\nContent-Type: application/json\r\n\r\n",
        ),
        (
            "a=@dir/b.pdf",
            "\"a\"; filename=\"b.pdf\"\r\nContent-Type: application/pdf\r\n\r\n",
        ),
        (
            "a=@b;filename=\"c;d.txt\";type=text/csv",
            "\"a\"; filename=\"c;d.txt\"\r\nContent-Type: text/csv\r\n\r\n",
        ),
        ("a=<b.txt", "\"a\"\r\n\r\n"),
        (
            "a=@-",
            "\"a\"; filename=\"-\"\r\nContent-Type: application/octet-stream\r\n\r\n",
        ),
    ] {
        assert_eq!(head(field), format!("{disposition}{expected}"), "{field}");
    }
    for (field, expected) in [
        ("a=b;c", Part::text("b;c")),
        ("a=\"b;type=c\";type=d", Part::text("b;type=c")),
        ("a=\"b\" c", Part::text("\"b\" c")),
        ("a=", Part::text("")),
        ("a=@b c", Part::File("b c".into())),
        ("a=<-", Part::StandardInput),
    ] {
        assert_eq!(content(field), expected, "{field}");
    }
    assert_eq!(
        Field::literal("a=@b;type=c").unwrap().content,
        Part::text("@b;type=c")
    );
    for field in ["a", "a=@", "a=b;type=c\r\nd: e"] {
        assert!(field.parse::<Field>().is_err(), "{field}");
    }
}

#[tokio::test]
async fn repeatable_boundary_is_the_same_and_stands_in_no_field() {
    let fields = |text: &str| [Field::literal(&format!("a={text}")).unwrap()];
    let (_, first) = repeatable_form(&fields("x")).await.unwrap();
    let (_, again) = repeatable_form(&fields("x")).await.unwrap();
    assert_eq!(first, again);
    let boundary = first.split_once("boundary=").unwrap().1;
    let (_, other) = repeatable_form(&fields(boundary)).await.unwrap();
    assert_ne!(first, other);
    assert_ne!(form(&fields("x")).1, form(&fields("x")).1);
}
