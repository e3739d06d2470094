// A third service in Express. It reads AUTH_URL, ORDERS_PORT, TOKEN_ISSUER, and, if auth-service signs with a secret,
// ACCESS_TOKEN_SECRET. auth-service must list orders-service in ACCESS_TOKEN_AUDIENCE.
import express from 'express';

import { AccessTokens } from './tokens.mjs';

const { AUTH_URL: auth = 'http://localhost:3000', ACCESS_TOKEN_SECRET: secret, TOKEN_ISSUER: issuer } = process.env;
const tokens = new AccessTokens({ auth, audience: 'orders-service', issuer, secret });
await tokens.start();

/** Middleware that verifies the access token and sets `request.user` to its claims. */
async function member(request, response, next) {
  try {
    // Two headers, joined, have no valid token.
    request.user = await tokens.verify(request.headersDistinct.authorization?.join(', '));
  } catch ({ status, message }) {
    if (status === 503) response.set('Retry-After', '1');
    else if (!request.headers.authorization) response.set('WWW-Authenticate', 'Bearer realm="api"');
    else response.set('WWW-Authenticate', `Bearer error="invalid_token", error_description="${message}"`);
    return problem(response, status, message);
  }
  next();
}

function problem(response, status, detail) {
  response.status(status).type('application/problem+json').send(JSON.stringify({ status, detail }));
}

const app = express();
app.get('/orders', member, ({ user }, response) => response.type('text').send(`No orders yet, ${user.username}.\n`));
// `member` runs again after the body, because the token may be revoked while the body arrives.
app.post('/orders', member, express.json(), member, ({ user, body }, response) => {
  if (typeof body?.item !== 'string') return problem(response, 422, 'item must be a string, in a JSON body');
  response.type('text').send(`One ${body.item} for ${user.username}.\n`);
});
// Express would show the stack trace of a body that is not JSON.
app.use((error, request, response, next) => problem(response, error.status ?? 500, error.expose ? error.message : 'This failed.'));

const server = app.listen(Number(process.env.ORDERS_PORT ?? 5000), '127.0.0.1', () => {
  console.log(`orders-express  http://127.0.0.1:${server.address().port}`);
});
