// What people who may be here get wrong, or try: credentials of the wrong kind, set-ups that cannot be, ids of others, values that
// mean nothing.
import { blogApiKey } from '../../../sandbox/world/built-in.ts'
import { paste, pasted, type Row, scope, send, stack } from './stand.ts'

export const fromPeople: Record<string, Row> = {
  'a read-only token': {
    send: stand => pasted(stand, { scope: scope(false) }),
    status: 400,
    code: 'invalid',
    names: /read-only/,
    remedy: /read and write/
  },
  'an expired token': {
    send: stand =>
      pasted(stand, { scope: scope(true), expires_on: '2099-01-01' }, 'own', uid => {
        stand.flow.stack.managementTokens[uid]!.expires_on = '2020-01-01'
      }),
    status: 400,
    code: 'invalid',
    names: /does not accept this management token/,
    remedy: /expired[\s\S]*Make a new one/
  },
  'a revoked token': {
    send: stand =>
      pasted(stand, { scope: scope(true) }, 'own', uid => {
        stand.flow.stack.managementTokens[uid]!.dead = true
      }),
    status: 400,
    code: 'invalid',
    names: /does not accept this management token/,
    remedy: /revoked[\s\S]*Make a new one/
  },
  'a token of another stack': {
    send: stand => pasted(stand, { scope: scope(true) }, 'other'),
    status: 400,
    code: 'invalid',
    names: /does not accept this management token for this stack/,
    remedy: /another stack or region/
  },
  'a token of another region': {
    send: stand => paste(stand, 'cs9f8e7d6c5b4a39281706f5e4d3'),
    status: 400,
    code: 'invalid',
    names: /does not accept this management token/,
    remedy: /another stack or region/
  },
  'an authtoken in the place of a management token': {
    send: stand => paste(stand, stand.connected.admin.authtoken),
    status: 400,
    code: 'invalid',
    names: /authtoken, the credential of a person/,
    remedy: /sent nowhere and is not kept[\s\S]*management token/
  },
  'an OAuth token in the place of a management token': {
    send: stand => paste(stand, 'Bearer abcdefghijklmnop'),
    status: 400,
    code: 'invalid',
    names: /OAuth token/,
    remedy: /management token/
  },
  'the API key in the place of a management token': {
    send: stand => stack(stand, 'POST', '/tokens/paste', { token: blogApiKey }),
    status: 400,
    code: 'invalid',
    names: /API key of the stack/,
    remedy: /management token/
  },

  'a mapping from a field that does not exist': {
    send: stand =>
      stack(stand, 'POST', '/syncs', {
        direction: 'outbound',
        connectionId: stand.connectionId,
        contentTypes: ['product'],
        target: '',
        mapping: [{ from: 'colour_of_the_sea', to: 'colour' }]
      }),
    status: 400,
    code: 'invalid',
    names: /colour_of_the_sea/,
    remedy: /title|sku|field/i
  },
  'a mapping to a field that does not exist': {
    send: stand =>
      stack(stand, 'POST', '/syncs', {
        direction: 'inbound',
        connectionId: stand.connectionId,
        contentTypes: ['country'],
        target: 'countries',
        externalIdField: 'code',
        mapping: [
          { from: 'code', to: 'code' },
          { from: 'title', to: 'colour_of_the_sea' }
        ]
      }),
    status: 400,
    code: 'invalid',
    names: /colour_of_the_sea/,
    remedy: /title|code|field/i
  },
  'a content type that does not exist': {
    send: stand =>
      stack(stand, 'POST', '/syncs', { direction: 'outbound', connectionId: stand.connectionId, contentTypes: ['unicorn'], target: '' }),
    status: 400,
    code: 'invalid',
    names: /unicorn/,
    remedy: /article/
  },
  'an external id in a field that is not unique': {
    send: stand =>
      stack(stand, 'POST', '/syncs', {
        direction: 'inbound',
        connectionId: stand.connectionId,
        contentTypes: ['country'],
        target: 'countries',
        externalIdField: 'capital'
      }),
    status: 400,
    code: 'invalid',
    names: /capital/,
    remedy: /code/
  },
  'a database that cannot be reached': {
    send: stand => {
      stand.presented.set('pass-word-of-the-database', 'database password')
      return stack(stand, 'POST', '/connections', {
        connector: 'sql',
        name: 'Nowhere',
        settings: { system: 'postgres', host: '127.0.0.1', port: 9, database: 'none', user: 'nobody' },
        secrets: { password: 'pass-word-of-the-database' }
      })
    },
    status: 502,
    code: 'upstream',
    names: /127\.0\.0\.1/,
    remedy: /host|port|reach|running/i
  },
  'a database in a private network': {
    send: stand =>
      stack(stand, 'POST', '/connections', {
        connector: 'sql',
        name: 'Inside',
        settings: { system: 'postgres', host: '10.0.0.1', port: 5432, database: 'x', user: 'x' },
        secrets: {}
      }),
    status: 403,
    code: 'forbidden',
    names: /10\.0\.0\.1/,
    remedy: /operator/
  },
  'a file outside the operator’s directory': {
    send: stand =>
      stack(stand, 'POST', '/connections', { connector: 'sql', name: 'Up', settings: { system: 'sqlite', file: '../key' }, secrets: {} }),
    status: 403,
    code: 'forbidden',
    names: /\.\.\/key/,
    remedy: /relative/
  },
  'a file of another tenant': {
    send: stand =>
      stack(stand, 'POST', '/connections', {
        connector: 'sql',
        name: 'Theirs',
        settings: { system: 'sqlite', file: 'theirs.db' },
        secrets: {}
      }),
    status: 403,
    code: 'forbidden',
    names: /theirs\.db/,
    remedy: /another file/
  },
  'an unknown connector': {
    send: stand => stack(stand, 'POST', '/connections', { connector: 'carrier-pigeon', name: 'x', settings: {}, secrets: {} }),
    status: 400,
    code: 'invalid',
    names: /carrier-pigeon/,
    remedy: /sql/
  },

  'another tenant’s sync': {
    send: stand => stack(stand, 'GET', `/syncs/${stand.sync.id}`, undefined, stand.other.pages.headers),
    status: 404,
    code: 'not_found',
    names: /sync/,
    remedy: null
  },
  'another tenant’s connection': {
    send: stand => stack(stand, 'POST', `/connections/${stand.connectionId}/check`, {}, stand.other.pages.headers),
    status: 404,
    code: 'not_found',
    names: /connection/,
    remedy: null
  },
  'another tenant’s sync, paused': {
    send: stand => stack(stand, 'PATCH', `/syncs/${stand.sync.id}`, { state: 'paused' }, stand.other.pages.headers),
    status: 404,
    code: 'not_found',
    names: /sync/,
    remedy: null
  },
  'an id that never was': {
    send: stand => stack(stand, 'GET', '/runs/run_00000000000000000000000000'),
    status: 404,
    code: 'not_found',
    names: /run/,
    remedy: null
  },

  'an unknown value of a setting': {
    send: stand => stack(stand, 'PATCH', `/syncs/${stand.sync.id}`, { state: 'asleep' }),
    status: 400,
    code: 'invalid',
    names: /state/,
    remedy: /Correct/
  },
  'a negative expiry': {
    send: stand => stack(stand, 'POST', '/grants', { purpose: 'rotate', expiresInDays: -1, branches: ['main'] }),
    status: 400,
    code: 'invalid',
    names: /expiresInDays/,
    remedy: /Correct/
  },
  'text that is no JSON': {
    send: stand => stack(stand, 'POST', '/keys', '{"name":'),
    status: 400,
    code: 'invalid',
    names: /could not be read/,
    remedy: null
  },
  'a body of half a megabyte': {
    send: stand => stack(stand, 'POST', '/keys', { name: 'x'.repeat(500_000) }),
    status: 400,
    code: 'invalid',
    names: /too large/,
    remedy: null
  },
  'a schedule that is none': {
    send: stand =>
      stack(stand, 'POST', '/syncs', {
        direction: 'inbound',
        connectionId: stand.connectionId,
        contentTypes: ['country'],
        target: 'countries',
        externalIdField: 'code',
        schedule: { cron: 'every now and then', timeZone: 'UTC' }
      }),
    status: 400,
    code: 'invalid',
    names: /every now and then|schedule/,
    remedy: null
  },
  'a route that is not there': {
    send: ({ flow }) => send(`${flow.server.url}/api/extension/nothing`, 'GET', {}),
    status: 401,
    code: 'unauthorized',
    names: /session/,
    remedy: /Reload/
  },
  'a page that is not there': {
    send: ({ flow }) => send(`${flow.server.url}/nothing/here`, 'GET', {}),
    status: 404,
    code: 'not_found',
    names: /nothing\/here/,
    remedy: null
  }
}
