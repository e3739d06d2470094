use secrecy::SecretString;
use serde::Deserialize;
use shared_service::http::request::Parsed;
use utoipa::ToSchema;

use crate::routes::requests::ProposedPassword;
use crate::users::Email;

/// `PUT /me/email`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"email": "anna@example.org", "currentPassword": "password123member"}))]
pub(in crate::routes) struct EmailChange {
    /// At most 254 bytes.
    #[schema(value_type = String, format = "idn-email", max_length = 254)]
    pub email: Parsed<Email>,
    /// The current password.
    #[schema(value_type = String)]
    pub current_password: SecretString,
}

/// `POST /password/forgot`.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"email": "anna@example.org"}))]
pub(in crate::routes) struct ForgottenPassword {
    /// At most 254 bytes.
    #[schema(value_type = String, format = "idn-email", max_length = 254)]
    pub email: Parsed<Email>,
}

/// `POST /password/reset`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"token": "token of the link", "newPassword": "seven quiet owls read maps"}))]
pub(in crate::routes) struct PasswordReset {
    /// The ticket, from the fragment of the link.
    #[schema(value_type = String)]
    pub token: SecretString,
    /// As in `Registration`.
    #[schema(value_type = String, min_length = 8, max_length = 1024)]
    pub new_password: Parsed<ProposedPassword>,
}

/// `POST /email/verify`.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"token": "token of the link", "password": "seven quiet owls read maps"}))]
pub(in crate::routes) struct EmailVerification {
    /// The ticket, from the fragment of the link.
    #[schema(value_type = String)]
    pub token: SecretString,
    /// The password of the account; not needed with its access token.
    #[schema(value_type = Option<String>)]
    pub password: Option<SecretString>,
}
