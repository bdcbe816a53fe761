//! Drafts from JSON, with errors that name the field.

use daybook_mobile_sync::capture::Draft;

use crate::error::PhoneError;

pub(crate) fn read(json: &str) -> Result<Draft, PhoneError> {
    let draft = &mut serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(draft).map_err(|error| PhoneError::of("draft", error))
}
