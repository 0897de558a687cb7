/** The access of requests: the security headers of every answer, the names of this host, and the token. */

import type { Context, Hono } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';
import { secureHeaders } from 'hono/secure-headers';
import type { Access, Credentials } from './access.js';

const year = 31_536_000;

/** Refuses requests that may not read. A browser that shows the token receives a cookie. */
export function authorize(app: Hono, access: Access): void {
  app.use(
    secureHeaders({
      contentSecurityPolicy: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        connectSrc: ["'self'"],
        imgSrc: ["'self'", 'data:'],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
      referrerPolicy: 'no-referrer',
      strictTransportSecurity: false,
    }),
  );
  app.use(async (context, next) => {
    if (!access.knows(context.req.header('host'))) return context.text('Unknown host.\n', 421);
    const entered = context.req.query('token');
    if (entered !== undefined && access.isToken(entered)) {
      const { name, value } = access.cookie(context.req.header('host'));
      setCookie(context, name, value, {
        httpOnly: true,
        sameSite: 'Strict',
        path: '/',
        maxAge: year,
      });
      return context.redirect('/');
    }
    if (access.mayRead(credentialsOf(context, access))) return next();
    return context.text(
      'This dashboard requires a token: open the address that the training printed.\n',
      401,
    );
  });
}

export function credentialsOf(context: Context, access: Access): Credentials {
  const [, bearer] = /^Bearer (.+)$/.exec(context.req.header('authorization') ?? '') ?? [];
  const { name } = access.cookie(context.req.header('host'));
  return { bearer, cookie: getCookie(context, name) };
}
