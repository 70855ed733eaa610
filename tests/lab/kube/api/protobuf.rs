//! Reads Kubernetes' protobuf bodies: newer kubectl send them for what they create themselves (`create namespace`, `drain`).
//!
//! Answers stay JSON, which every client accepts. Fields that nobody here looks at are skipped.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Map, Value, json};

/// What a field holds.
#[derive(Clone, Copy)]
enum Type {
    Text,
    Integer,
    Boolean,
    /// Base64 in JSON.
    Bytes,
    Message(Fields),
    TextMap,
    BytesMap,
    Texts,
    Messages(Fields),
}

/// Fields of a message: number, name in JSON, type.
type Fields = &'static [(u64, &'static str, Type)];

use Type::{Boolean, Bytes, BytesMap, Integer, Message, Messages, Text, TextMap, Texts};

const METADATA: Fields = &[
    (1, "name", Text),
    (2, "generateName", Text),
    (3, "namespace", Text),
    (6, "resourceVersion", Text),
    (11, "labels", TextMap),
    (12, "annotations", TextMap),
];
const META: (u64, &str, Type) = (1, "metadata", Message(METADATA));
const ROLE: Fields = &[
    META,
    (
        2,
        "rules",
        Messages(&[
            (1, "verbs", Texts),
            (2, "apiGroups", Texts),
            (3, "resources", Texts),
            (4, "resourceNames", Texts),
        ]),
    ),
];
const BINDING: Fields = &[
    META,
    (
        2,
        "subjects",
        Messages(&[
            (1, "kind", Text),
            (2, "apiGroup", Text),
            (3, "name", Text),
            (4, "namespace", Text),
        ]),
    ),
    (3, "roleRef", Message(&[(1, "apiGroup", Text), (2, "kind", Text), (3, "name", Text)])),
];
const REQUEST: Fields = &[
    META,
    (
        2,
        "spec",
        Message(&[
            (1, "request", Bytes),
            (5, "usages", Texts),
            (7, "signerName", Text),
            (8, "expirationSeconds", Integer),
        ]),
    ),
    (
        3,
        "status",
        Message(&[
            (
                1,
                "conditions",
                Messages(&[
                    (1, "type", Text),
                    (2, "reason", Text),
                    (3, "message", Text),
                    (6, "status", Text),
                ]),
            ),
            (2, "certificate", Bytes),
        ]),
    ),
];
const CONTAINER: Fields = &[
    (1, "name", Text),
    (2, "image", Text),
    (3, "command", Texts),
    (4, "args", Texts),
    (
        6,
        "ports",
        Messages(&[(1, "name", Text), (3, "containerPort", Integer), (4, "protocol", Text)]),
    ),
    (7, "env", Messages(&[(1, "name", Text), (2, "value", Text)])),
];
const POD_SPEC: Fields = &[
    (2, "containers", Messages(CONTAINER)),
    (3, "restartPolicy", Text),
    (7, "nodeSelector", TextMap),
    (8, "serviceAccountName", Text),
    (10, "nodeName", Text),
];
const DEPLOYMENT: Fields = &[
    META,
    (
        2,
        "spec",
        Message(&[
            (1, "replicas", Integer),
            (2, "selector", Message(&[(1, "matchLabels", TextMap)])),
            (3, "template", Message(&[META, (2, "spec", Message(POD_SPEC))])),
        ]),
    ),
];
const SERVICE: Fields = &[
    META,
    (
        2,
        "spec",
        Message(&[
            (
                1,
                "ports",
                Messages(&[(1, "name", Text), (2, "protocol", Text), (3, "port", Integer)]),
            ),
            (2, "selector", TextMap),
            (3, "clusterIP", Text),
            (4, "type", Text),
        ]),
    ),
];
const REVIEW: Fields = &[
    META,
    (
        2,
        "spec",
        Message(&[(
            1,
            "resourceAttributes",
            Message(&[
                (1, "namespace", Text),
                (2, "verb", Text),
                (3, "group", Text),
                (5, "resource", Text),
                (6, "subresource", Text),
                (7, "name", Text),
            ]),
        )]),
    ),
];

fn fields_of(kind: &str) -> Option<Fields> {
    Some(match kind {
        "Namespace" | "ServiceAccount" | "Eviction" | "SelfSubjectReview" => &[META],
        "ConfigMap" => {
            &[META, (2, "data", TextMap), (3, "binaryData", BytesMap), (4, "immutable", Boolean)]
        }
        "Secret" => &[META, (2, "data", BytesMap), (3, "type", Text), (4, "stringData", TextMap)],
        "Role" | "ClusterRole" => ROLE,
        "RoleBinding" | "ClusterRoleBinding" => BINDING,
        "CertificateSigningRequest" => REQUEST,
        "Deployment" => DEPLOYMENT,
        "Service" => SERVICE,
        "Pod" => &[META, (2, "spec", Message(POD_SPEC))],
        "SelfSubjectAccessReview" => REVIEW,
        "TokenRequest" => &[
            META,
            (2, "spec", Message(&[(1, "audiences", Texts), (4, "expirationSeconds", Integer)])),
        ],
        "DeleteOptions" => &[],
        _ => return None,
    })
}

/// The object in a body that begins with Kubernetes' mark; `None` for a kind that is not known here, or damage.
pub(super) fn decode(body: &[u8]) -> Option<Value> {
    const ENVELOPE: Fields =
        &[(1, "type", Message(&[(1, "apiVersion", Text), (2, "kind", Text)])), (2, "raw", Bytes)];
    let envelope = message(body.strip_prefix(b"k8s\0")?, ENVELOPE)?;
    let kind = envelope["type"]["kind"].as_str()?;
    let raw = BASE64.decode(envelope["raw"].as_str().unwrap_or_default()).ok()?;
    let mut object = message(&raw, fields_of(kind)?)?;
    object["kind"] = kind.into();
    object["apiVersion"] = envelope["type"]["apiVersion"].clone();
    Some(object)
}

fn message(mut bytes: &[u8], fields: Fields) -> Option<Value> {
    let mut object = Map::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let (number, content) = match tag & 7 {
            0 => (varint(&mut bytes)?, &[][..]),
            1 => (0, take(&mut bytes, 8)?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                (0, take(&mut bytes, length)?)
            }
            5 => (0, take(&mut bytes, 4)?),
            _ => return None,
        };
        let Some((_, name, kind)) = fields.iter().find(|(known, ..)| *known == tag >> 3) else {
            continue;
        };
        set(&mut object, name, *kind, number, content)?;
    }
    Some(Value::Object(object))
}

fn set(
    object: &mut Map<String, Value>,
    name: &str,
    kind: Type,
    number: u64,
    content: &[u8],
) -> Option<()> {
    let text = || std::str::from_utf8(content).ok();
    let entry = || object_entry(content);
    match kind {
        // Go writes empty strings too; in JSON they are left out.
        Text if content.is_empty() => {}
        Text => {
            object.insert(name.to_owned(), text()?.into());
        }
        Integer => {
            object.insert(name.to_owned(), number.into());
        }
        Boolean => {
            object.insert(name.to_owned(), (number != 0).into());
        }
        Bytes => {
            object.insert(name.to_owned(), BASE64.encode(content).into());
        }
        Message(fields) => {
            object.insert(name.to_owned(), message(content, fields)?);
        }
        TextMap | BytesMap => {
            let (key, value) = entry()?;
            let value = if matches!(kind, TextMap) {
                std::str::from_utf8(value).ok()?.into()
            } else {
                BASE64.encode(value).into()
            };
            object
                .entry(name.to_owned())
                .or_insert_with(|| json!({}))
                .as_object_mut()?
                .insert(key, value);
        }
        Texts => object
            .entry(name.to_owned())
            .or_insert_with(|| json!([]))
            .as_array_mut()?
            .push(text()?.into()),
        Messages(fields) => {
            object
                .entry(name.to_owned())
                .or_insert_with(|| json!([]))
                .as_array_mut()?
                .push(message(content, fields)?);
        }
    }
    Some(())
}

/// One entry of a map: a message with the key (1) and the value (2).
fn object_entry(mut content: &[u8]) -> Option<(String, &[u8])> {
    let (mut key, mut value) = (String::new(), &[][..]);
    while !content.is_empty() {
        let tag = varint(&mut content)?;
        let length = usize::try_from(varint(&mut content)?).ok()?;
        let part = take(&mut content, length)?;
        match tag {
            0x0a => key = String::from_utf8(part.to_vec()).ok()?,
            0x12 => value = part,
            _ => return None,
        }
    }
    Some((key, value))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_as_kubectl_sends_it_is_read() {
        let part = |tag: u8, content: &[u8]| {
            [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
        };
        let label = [part(0x0a, b"team"), part(0x12, b"a")].concat();
        let metadata =
            [part(0x0a, b"web"), part(0x12, b""), part(0x42, b""), part(0x5a, &label)].concat();
        let raw = [part(0x0a, &metadata), part(0x12, b""), part(0x1a, &part(0x0a, b""))].concat();
        let kind = [part(0x0a, b"v1"), part(0x12, b"Namespace")].concat();
        let body = [
            b"k8s\0".to_vec(),
            part(0x0a, &kind),
            part(0x12, &raw),
            part(0x1a, b""),
            part(0x22, b""),
        ]
        .concat();
        let expected = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web", "labels": {"team": "a"}}});
        assert_eq!(decode(&body), Some(expected));
        assert_eq!(decode(&body[..body.len() - 9]), None);
    }
}
