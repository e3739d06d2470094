use uuid::Uuid;

use crate::{
    AccessClaims, BearerAuth, LEEWAY, Revocation, Revocations, Role, Secret, SetupError, Signer, Verifier,
    VerifierConfig, clock,
};

/// The lifetime of the kit's tokens, in seconds: 15 minutes, the default.
const LIFE: u64 = 15 * 60;

/// Replaces auth-service in the tests of a service: a [`BearerAuth`], and tokens that it accepts or refuses.
///
/// ```
/// use actix_web::{App, HttpResponse, test, web};
/// use shared_claims::{Member, TestKit};
///
/// async fn orders(member: Member) -> HttpResponse {
///     HttpResponse::Ok().body(format!("orders of {}", member.username))
/// }
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let kit = TestKit::new("orders-service")?;
/// let auth = web::Data::new(kit.bearer_auth()?);
/// let app = test::init_service(App::new().app_data(auth).route("/orders", web::get().to(orders))).await;
/// let ask = async |token: &str| {
///     let request = test::TestRequest::get().uri("/orders").insert_header(("Authorization", format!("Bearer {token}")));
///     test::call_service(&app, request.to_request()).await.status().as_u16()
/// };
///
/// assert_eq!(ask(&kit.member()).await, 200);
/// assert_eq!(ask(&kit.expired()).await, 401);
///
/// let token = kit.in_session("s-1");
/// assert_eq!(ask(&token).await, 200);
/// kit.revoke("s-1");
/// assert_eq!(ask(&token).await, 401);
/// # Ok(())
/// # }
/// ```
pub struct TestKit {
    audience: String,
    secret: String,
    signer: Signer<AccessClaims>,
    revocations: Revocations,
}

impl TestKit {
    /// The `iss` of the kit's tokens, for the setting `TOKEN_ISSUER`.
    pub const ISSUER: &str = "auth-service";

    /// A kit for the service `audience`, with a random secret.
    ///
    /// # Errors
    /// `audience` is empty, or the crypto fails its self-test.
    pub fn new(audience: &str) -> Result<Self, SetupError> {
        let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let parsed = Secret::parse(&secret).map_err(|_| SetupError::Key)?;
        let signer = Signer::new(Self::ISSUER, &[audience.to_owned()], &parsed)?;
        Ok(Self { audience: audience.to_owned(), secret, signer, revocations: Revocations::new(None) })
    }

    /// A [`BearerAuth`] that accepts the kit's tokens until the kit revokes them.
    ///
    /// # Errors
    /// The crypto fails its self-test.
    pub fn bearer_auth(&self) -> Result<BearerAuth, SetupError> {
        let secret = Secret::parse(&self.secret).map_err(|_| SetupError::Key)?;
        let verifier = Verifier::new(&VerifierConfig {
            issuer: Self::ISSUER,
            audience: &self.audience,
            max_life: std::time::Duration::from_secs(LIFE),
            secret: &secret,
            previous: None,
        })?;
        Ok(BearerAuth::new(verifier).with_revocations(self.revocations.clone()))
    }

    /// The signing secret, for the setting `ACCESS_TOKEN_SECRET`.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// A token of the member anna.
    #[must_use]
    pub fn member(&self) -> String {
        self.token("anna", Role::Member, &Uuid::new_v4().to_string(), clock::now())
    }

    /// A token of the admin john.
    #[must_use]
    pub fn admin(&self) -> String {
        self.token("john", Role::Admin, &Uuid::new_v4().to_string(), clock::now())
    }

    /// A token of anna that expired a minute ago.
    #[must_use]
    pub fn expired(&self) -> String {
        self.token("anna", Role::Member, &Uuid::new_v4().to_string(), clock::now().saturating_sub(LIFE + 60))
    }

    /// A token of anna in the session `sid`.
    #[must_use]
    pub fn in_session(&self, sid: &str) -> String {
        self.token("anna", Role::Member, sid, clock::now())
    }

    /// Revokes the session `sid`: all its tokens are refused from now on.
    pub fn revoke(&self, sid: &str) {
        let until = clock::now() + LIFE + LEEWAY;
        self.revocations.add(&[Revocation::Session { sid: sid.to_owned(), until }], clock::now());
    }

    fn token(&self, username: &str, role: Role, sid: &str, iat: u64) -> String {
        self.signer.sign(&AccessClaims {
            sub: format!("user-{username}"),
            exp: iat + LIFE,
            iat,
            jti: Uuid::new_v4().to_string(),
            sid: sid.to_owned(),
            username: username.to_owned(),
            role: role.to_string(),
        })
    }
}
