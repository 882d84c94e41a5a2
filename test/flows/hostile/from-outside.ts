// What comes from outside pretending to be Contentstack, a frame or a browser that we know: webhooks, app-tokens, OAuth callbacks,
// sessions.
import { shopApiKey } from '../../../sandbox/world/built-in.ts'
import { signBody } from '../../../sandbox/webhooks/sign.ts'
import { enter, jwt, type Row, send, stack, strangersKey, webhook } from './stand.ts'

const again = /[Ss]tart again/
const notOurs = /not from Contentstack for this installation/
const notAdmin = /Owner or Admin of this stack/

export const fromOutside: Record<string, Row> = {
  'a webhook that nobody signed': {
    send: stand => webhook(stand, { signature: 'v1=AAAA' }),
    status: 403,
    code: 'forbidden',
    names: notOurs,
    remedy: null
  },
  'a webhook signed by a stranger': {
    send: async stand => webhook(stand, { signature: await signBody(strangersKey, Buffer.from('{}')) }),
    status: 403,
    code: 'forbidden',
    names: notOurs,
    remedy: null
  },
  'a webhook with another secret': {
    send: stand => webhook(stand, { secret: 'not-the-secret-of-anything' }),
    status: 403,
    code: 'forbidden',
    names: notOurs,
    remedy: null
  },
  'a webhook of an hour ago': {
    send: stand => webhook(stand, { body: { triggered_at: new Date(Date.now() - 3_600_000).toISOString() } }),
    status: 403,
    code: 'forbidden',
    names: /too old/,
    remedy: /Sync now/
  },
  'a webhook from the future': {
    send: stand => webhook(stand, { body: { triggered_at: new Date(Date.now() + 3_600_000).toISOString() } }),
    status: 403,
    code: 'forbidden',
    names: /future/,
    remedy: /clock/
  },
  'a webhook of another stack': {
    send: stand => webhook(stand, { body: { api_key: shopApiKey } }),
    status: 403,
    code: 'forbidden',
    names: notOurs,
    remedy: null
  },
  'a webhook for an installation that is not there': {
    send: stand => webhook(stand, { to: `${stand.flow.server.url}/webhooks/content/ins_00000000000000000000000000` }),
    status: 403,
    code: 'forbidden',
    names: notOurs,
    remedy: null
  },
  'a lifecycle event with the content webhook’s secret': {
    send: stand => webhook(stand, { to: `${stand.flow.server.url}/webhooks/lifecycle/sandbox` }),
    status: 403,
    code: 'forbidden',
    names: notOurs,
    remedy: null
  },

  'an app-token signed by a stranger': {
    send: stand => enter(stand, jwt(stand, {}, { key: strangersKey })),
    status: 401,
    code: 'unauthorized',
    names: /app-token/,
    remedy: /Reload/
  },
  'an app-token that nobody signed': {
    send: stand => enter(stand, jwt(stand, {}, { alg: 'none' })),
    status: 401,
    code: 'unauthorized',
    names: /app-token/,
    remedy: /Reload/
  },
  'an app-token of yesterday': {
    send: stand => enter(stand, jwt(stand, { exp: Math.floor(Date.now() / 1000) - 86_400 })),
    status: 401,
    code: 'unauthorized',
    names: /app-token/,
    remedy: /Reload/
  },
  'an app-token of another app': {
    send: stand => enter(stand, jwt(stand, { app_uid: 'another-app' })),
    status: 401,
    code: 'unauthorized',
    names: /app-token/,
    remedy: /Reload/
  },
  'an app-token whose stack is not its installation’s': {
    send: stand => enter(stand, jwt(stand, { stack_api_key: shopApiKey })),
    status: 401,
    code: 'unauthorized',
    names: /app-token/,
    remedy: /Reload/
  },
  'text for an app-token': {
    send: stand => enter(stand, 'hello'),
    status: 401,
    code: 'unauthorized',
    names: /no app-token/,
    remedy: /Reload/
  },

  'an OAuth callback that nobody began': {
    send: ({ flow }) => send(`${flow.server.url}/oauth/grant/callback?code=abc&state=forged&location=SANDBOX`, 'GET', {}),
    status: 403,
    code: null,
    names: /another browser|ten minutes/,
    remedy: again
  },
  'an OAuth callback with another state': {
    send: ({ flow }) =>
      send(`${flow.server.url}/oauth/grant/callback?code=abc&state=forged&location=SANDBOX`, 'GET', { cookie: 'quayside-grant=forged' }),
    status: 403,
    code: null,
    names: /authorization/i,
    remedy: again
  },
  'an install callback with a forged code': {
    send: ({ flow }) => send(`${flow.server.url}/oauth/install/callback?code=forged&location=SANDBOX`, 'GET', {}),
    status: 400,
    code: null,
    names: /code/,
    remedy: /again|Install/i
  },
  'an install callback from a region that is not served': {
    send: ({ flow }) => send(`${flow.server.url}/oauth/install/callback?code=abc&location=MOON`, 'GET', {}),
    status: 400,
    code: null,
    names: /MOON/,
    remedy: /operator|region/i
  },
  'a start page of a grant that is not there': {
    send: ({ flow }) => send(`${flow.server.url}/oauth/grant/start?grant=grf_none&ticket=none`, 'GET', {}),
    status: 403,
    code: null,
    names: /start page/,
    remedy: again
  },

  'a session that never was': {
    send: stand => stack(stand, 'GET', '/syncs', undefined, { authorization: 'Bearer forged-session-of-nobody' }),
    status: 401,
    code: 'unauthorized',
    names: /session is over/,
    remedy: /Reload/
  },
  'no session at all': {
    send: stand => stack(stand, 'GET', '/syncs', undefined, {}),
    status: 401,
    code: 'unauthorized',
    names: /session is over/,
    remedy: /Reload/
  },
  'a console session that never was': {
    send: ({ flow }) => send(`${flow.server.url}/api/console/installations`, 'GET', { cookie: 'quayside=forged' }),
    status: 401,
    code: 'unauthorized',
    names: /not logged in/,
    remedy: /Log in/
  },
  'a session of the frame at the console’s door': {
    send: ({ flow, connected }) =>
      send(`${flow.server.url}/api/console/installations`, 'GET', { cookie: `quayside=${connected.pages.session.session}` }),
    status: 401,
    code: 'unauthorized',
    names: /not logged in/,
    remedy: /Log in/
  },
  'a change asked for by another site’s page': {
    send: stand =>
      stack(
        stand,
        'POST',
        '/keys',
        { name: 'x', scopes: [{ module: 'entries', actions: ['read'] }], expiresInDays: null },
        { ...stand.connected.pages.headers, origin: 'https://evil.example' }
      ),
    status: 403,
    code: 'forbidden',
    names: /not asked for by a page of Quayside/,
    remedy: /try again/
  },
  'an editor’s session on a configuration route': {
    send: stand =>
      stack(
        stand,
        'POST',
        '/connections',
        { connector: 'sql', name: 'x', settings: { system: 'sqlite', file: 'x.db' }, secrets: {} },
        stand.editor
      ),
    status: 403,
    code: 'forbidden',
    names: notAdmin,
    remedy: /Ask an Owner or Admin/
  }
}
