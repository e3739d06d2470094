use actix_web::dev::{AppService, HttpServiceFactory};
use actix_web::http::Method;
use actix_web::http::header::ALLOW;
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, ResponseError, guard, web};
use shared_claims::Problem;

use crate::metrics::Route;

/// One line of a URL table: a path and what its methods do.
///
/// A path that is read answers `HEAD` too, `OPTIONS` lists what there is, and every other method is refused by 405 with
/// `Allow` (RFC 9110 section 15.5.6).
pub struct At {
    resource: Resource,
    methods: Vec<Method>,
}

/// The line for `path`, which may hold `{parameters}`.
#[must_use]
pub fn at(path: &'static str) -> At {
    At { resource: web::resource(path).app_data(Route::new(path)), methods: vec![Method::OPTIONS] }
}

impl At {
    /// `handler` answers `GET` and `HEAD`.
    #[must_use]
    pub fn get<F, Args>(mut self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let read = guard::Any(guard::Get()).or(guard::Head());
        self.resource = self.resource.route(web::route().guard(read).to(handler));
        self.methods.extend([Method::GET, Method::HEAD]);
        self
    }

    /// `handler` answers `POST`.
    #[must_use]
    pub fn post<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::POST, handler)
    }

    /// `handler` answers `PUT`.
    #[must_use]
    pub fn put<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::PUT, handler)
    }

    /// `handler` answers `PATCH`.
    #[must_use]
    pub fn patch<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::PATCH, handler)
    }

    /// `handler` answers `DELETE`.
    #[must_use]
    pub fn delete<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::DELETE, handler)
    }

    fn on<F, Args>(mut self, method: Method, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.resource = self.resource.route(web::method(method.clone()).to(handler));
        self.methods.push(method);
        self
    }
}

impl HttpServiceFactory for At {
    fn register(self, config: &mut AppService) {
        let allow = self.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let otherwise = move |request: HttpRequest| {
            let response = if request.method() == Method::OPTIONS {
                HttpResponse::NoContent().insert_header((ALLOW, allow.as_str())).finish()
            } else {
                Problem::of_status(405).header("Allow", allow.as_str()).error_response()
            };
            std::future::ready(response)
        };
        self.resource.default_service(web::to(otherwise)).register(config);
    }
}
