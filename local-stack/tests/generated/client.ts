// Compiled in strict mode against the types that openapi-typescript makes of both documents, and run.
import createClient from 'openapi-fetch';
import type { components as Auth, paths as AuthPaths } from './auth';
import type { components as Books, paths as BooksPaths } from './books';

declare const process: { argv: string[] };
const [authUrl = '', booksUrl = ''] = process.argv.slice(2);
const auth = createClient<AuthPaths>({ baseUrl: authUrl });
const books = createClient<BooksPaths>({ baseUrl: booksUrl });

const credentials: Auth['schemas']['LoginRequest'] = { username: 'anna', password: 'password123member' };
const login = await auth.POST('/login', { body: credentials });
if (!login.data) throw new Error(login.error.code);
const tokens: Auth['schemas']['Tokens'] = login.data;
const headers = { Authorization: `Bearer ${tokens.accessToken}` };

const me = await auth.GET('/me', { headers });
if (!me.data) throw new Error(me.error.code);
const list = await books.GET('/books', { headers, params: { query: { limit: 2 } } });
if (!list.data) throw new Error(list.error.code);
const found: Books['schemas']['Book'][] = list.data;
console.log(me.data.username, found.length, found[0]?.title.length);
