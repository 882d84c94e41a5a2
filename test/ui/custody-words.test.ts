// What the pages say of a token's life, decided without a server: what is the matter, what comes next, what to press, and how far an
// authorization is.
import { describe, expect, it } from 'vitest'
import type { Grant, Token } from '../../server/http/contract/custody.ts'
import type { Installation } from '../../server/http/contract/stack.ts'
import { secretNames } from '../../ui/components/stack/connection-secrets.tsx'
import { type Seen, stepsOf } from '../../ui/components/stack/grant-steps.ts'
import {
  concernsEditors,
  expiryWords,
  nextWords,
  phaseOf,
  pressOf,
  type Standing,
  waitingWords
} from '../../ui/components/stack/token-words.ts'
import { connectionLook, installationLook, recipientLook, tokenLook } from '../../ui/components/state.tsx'
import { erasedWords } from '../../ui/console/pages/erase.ts'
import { type Closer, closerOf, needs } from '../../ui/console/pages/needs.ts'
import { installation as base } from './stage.ts'
import { channel, connection, connector, day, exposed, hook, mail, token } from './states.ts'

const at = (status: string, expiresAt: number | null = null, more: Partial<Standing> = {}): Standing => ({ status, expiresAt, ...more })

describe('the state of a token', () => {
  it.each<[string, Standing | null, string, string]>([
    ['none at all', null, 'none', 'Connect this stack'],
    ['one on its way', at('verifying'), 'coming', 'Rotate token'],
    ['one that works', at('active', 60 * day), 'well', 'Rotate token'],
    ['one that never expires', at('active'), 'well', 'Rotate token'],
    ['one near its end', at('expiring', 20 * day), 'expiring', 'Rotate token'],
    ['one past its end that nobody refused yet', at('active', -1), 'expiring', 'Rotate token'],
    ['one that may be known to others', at('active', 60 * day, { exposed: true }), 'exposed', 'Rotate token'],
    ['one that may be known to others and nears its end', at('expiring', day, { exposed: true }), 'exposed', 'Rotate token'],
    ['one that is refused', at('dead', 60 * day, { exposed: true }), 'dead', 'Replace token']
  ])('of %s says what to press', (_title, standing, phase, press) => {
    expect(phaseOf(standing, 0)).toBe(phase)
    expect(pressOf(phaseOf(standing, 0))).toBe(press)
  })

  it.each<[number, string]>([
    [5.5 * day, 'expires in 5 days'],
    [day, 'expires in 1 day'],
    [0, 'has expired'],
    [-day, 'has expired']
  ])('%i ms before its end is: it %s', (expiresAt, words) => {
    expect(expiryWords(expiresAt, 0)).toBe(words)
  })

  it.each<[Standing | null, boolean]>([
    [null, false],
    [at('active'), false],
    [at('expiring', 8 * day), false],
    [at('expiring', 7 * day), true],
    [at('active', -day), true],
    [at('dead', 80 * day), true]
  ])('%j concerns editors: %s', (standing, concerned) => {
    expect(concernsEditors(standing, 0)).toBe(concerned)
  })

  it('says what waits, counted', () => {
    expect([0, 1, 3].map(waitingWords)).toEqual([
      'nothing can be synced until it is replaced',
      'its sync waits; nothing is lost',
      'its 3 syncs wait; nothing is lost'
    ])
  })

  it.each<[string, Pick<Token, 'expiresAt' | 'origin'>, number | null, string]>([
    ['all reminders ahead', { expiresAt: 90 * day, origin: 'minted' }, 3, 'A reminder goes to 3 recipients 30, 14, 7 and 1 days before.'],
    ['some behind it', { expiresAt: 9.5 * day, origin: 'minted' }, 1, 'A reminder goes to 1 recipient 7 and 1 days before.'],
    ['the last one ahead', { expiresAt: 6 * day, origin: 'minted' }, 2, 'A reminder goes to 2 recipients 1 day before.'],
    [
      'all behind it',
      { expiresAt: day / 2, origin: 'minted' },
      2,
      'The last reminder went out. When it ends, an alert goes to 2 recipients.'
    ],
    ['nobody to tell', { expiresAt: 90 * day, origin: 'minted' }, 0, 'Nobody is told: no recipient stands under Alerts.'],
    [
      'recipients not known yet',
      { expiresAt: 2 * day, origin: 'minted' },
      null,
      'A reminder goes to whoever stands under Alerts 1 day before.'
    ],
    [
      'no end and nobody to tell',
      { expiresAt: null, origin: 'minted' },
      0,
      'It never ends by itself, so nobody is reminded. Quayside asks regularly whether it still works. Nobody is told: no recipient stands under Alerts.'
    ],
    [
      'an end that is not known',
      { expiresAt: null, origin: 'pasted' },
      1,
      'A pasted token does not say when it ends. Quayside asks regularly whether it still works. When it no longer does, an alert goes to 1 recipient.'
    ]
  ])('says what comes next: %s', (_title, standing, recipients, words) => {
    expect(nextWords(standing, recipients, 0)).toBe(words)
  })

  it('looks exposed only while it works', () => {
    expect(tokenLook(exposed).word).toBe('Exposed')
    expect(tokenLook({ status: 'dead', exposed: true }).word).toBe('Refused')
    expect(tokenLook({ status: 'something new' })).toMatchObject({ tone: 'quiet', word: 'something new' })
  })
})

describe('the steps of an authorization', () => {
  const seen = (purpose: Grant['purpose'], status: Grant['status'] | null, more: Partial<Seen> = {}): Seen => ({
    purpose,
    grant: status && { status },
    former: null,
    ended: false,
    ...more
  })
  const old = (status: Token['status'], origin: Token['origin'] = 'minted', error: string | null = null) => ({
    former: { status, origin, error }
  })

  it.each<[string, Seen, string]>([
    ['before the server knows it', seen('mint', null), 'now ahead ahead'],
    ['minting', seen('mint', 'exchanged'), 'done now ahead'],
    ['minted', seen('mint', 'minted'), 'done done now'],
    ['given back', seen('mint', 'revoked'), 'done done done'],
    ['not given back', seen('mint', 'revoke_refused'), 'done done left'],
    ['failed', seen('mint', 'failed'), 'ahead ahead ahead'],
    ['rotating, the old one draining', seen('rotate', 'minted', old('retiring')), 'done done now ahead'],
    ['rotating, the old one proven dead', seen('rotate', 'minted', old('retired')), 'done done done now'],
    ['rotated', seen('rotate', 'revoked', old('retired')), 'done done done done'],
    ['rotated, the old one not deletable', seen('rotate', 'revoked', old('orphaned')), 'done done left done'],
    ['rotated, the old one pasted', seen('rotate', 'revoked', old('retired', 'pasted')), 'done done left done'],
    ['rotated where the old one cannot be seen', seen('rotate', 'minted'), 'done done now ahead'],
    ['rotation failed, the old one working', seen('rotate', 'failed', old('active')), 'ahead ahead ahead ahead'],
    ['giving up', seen('delete', 'minted', old('retiring')), 'done done now ahead'],
    ['given up', seen('delete', 'revoked', old('retired')), 'done done done done'],
    ['uninstalling', seen('uninstall', 'exchanged', old('active')), 'done now ahead ahead ahead'],
    ['uninstalling, all but the end', seen('uninstall', 'revoked', old('retired')), 'done done done done ahead'],
    ['uninstalled', seen('uninstall', 'revoked', { ...old('retired'), ended: true }), 'done done done done done'],
    [
      'uninstalled, the webhook staying',
      seen('uninstall', 'revoked', { ...old('retired'), ended: true, webhookLeft: true }),
      'done left done done done'
    ],
    ['uninstalled, as a frame that may no longer ask sees it', seen('uninstall', 'minted', { ended: true }), 'done done done done done']
  ])('%s', (_title, what, states) => {
    expect(
      stepsOf(what)
        .map(({ state }) => state)
        .join(' ')
    ).toBe(states)
  })

  it('say what a step waits for', () => {
    const notes = stepsOf(seen('rotate', 'minted', old('retiring'))).map(({ note }) => note)
    expect(notes).toEqual([null, null, 'Requests under way may end with it first: two minutes at most.', null])
    expect(stepsOf(seen('rotate', 'exchanged', old('active'))).every(({ note }) => note === null)).toBe(true)
  })

  it('say in their own words what could not be done, and what the record says of it', () => {
    const [, , deleted, given] = stepsOf(seen('rotate', 'revoke_refused', old('orphaned', 'minted', 'The next grant deletes it.')))
    expect(deleted).toEqual({ title: 'The old token could not be deleted', state: 'left', note: 'The next grant deletes it.' })
    expect(given?.title).toBe('Your authorization could not be given back')
    expect(stepsOf(seen('rotate', 'revoked', old('retired', 'pasted')))[2]?.title).toBe('The old token was pasted, and is left to you')
  })
})

describe('what needs somebody', () => {
  const healthy: Installation = { ...base, token: { status: 'active', fingerprint: 'abc', expiresAt: null } }
  const tokenOf = (status: string, expiresAt: number | null = null) => ({ token: { status, fingerprint: null, expiresAt } })
  const look = (change: Partial<Installation>, closer: Closer = {}) =>
    needs([{ ...healthy, ...change }], new Map([[healthy.id, closer]]), 0).map(({ why }) => why)

  it.each<[string, Partial<Installation>, Closer, string]>([
    ['a dead token', tokenOf('dead'), {}, 'Its token is refused by Contentstack; its sync waits; nothing is lost.'],
    ['no token', { token: null }, {}, 'No token is in custody, so nothing can be synced.'],
    ['no token, and why', { token: null, hold: { reason: 'Deleted on request.', since: 0 } }, {}, 'Deleted on request.'],
    ['a token near its end', tokenOf('expiring', 10 * day), {}, 'Its token expires in 10 days; then its sync waits; nothing is lost.'],
    ['a token past its end', tokenOf('expiring', -1), {}, 'Its token has expired; then its sync waits; nothing is lost.'],
    ['an exposed token', {}, { exposed: true }, 'The key that sealed its token may be known to others, and so the token.'],
    ['a hold', { hold: { reason: 'Held by an operator.', since: 0 } }, {}, 'Held by an operator.'],
    [
      'what nobody holds',
      { left: ['the management token "Quayside 77"'] },
      {},
      'In Contentstack the management token "Quayside 77" may still stand, and nobody here holds it.'
    ],
    [
      'what an uninstall left',
      { status: 'uninstalled', left: ['the management token "Quayside 77"'] },
      {},
      'After the uninstall the management token "Quayside 77" may still stand in Contentstack.'
    ],
    ['one recipient out of reach', {}, { recipients: [mail, channel] }, `Alerts do not reach ${channel.address}: ${channel.error}`],
    [
      'several out of reach',
      {},
      { recipients: [channel, { ...hook, error: 'Gone.' }] },
      `Alerts do not reach 2 recipients: ${channel.address}, ${hook.address}.`
    ],
    ['a pending install', { status: 'pending' }, {}, 'It was installed, but Contentstack has not confirmed it yet.'],
    ['an unclaimed organization', { status: 'unclaimed' }, {}, 'Its organization is not on the list of this Quayside.']
  ])('names %s', (_title, change, closer, why) => {
    expect(look(change, closer)).toEqual([why])
  })

  it('is silent about what works and what is gone', () => {
    expect(look({}, { exposed: false, recipients: [mail, hook] })).toEqual([])
    expect(look({ status: 'uninstalled', token: null })).toEqual([])
  })

  it('names everything one installation needs, and a refused token before everything else', () => {
    const several = {
      ...healthy,
      id: 'a',
      token: { status: 'expiring', fingerprint: null, expiresAt: day },
      left: ['the management token "Quayside 77"']
    }
    const dead = { ...healthy, id: 'b', ...tokenOf('dead') }
    const order = needs([several, dead], new Map([['a', { recipients: [channel] }]]), 0)
    expect(order.map(({ installation, look }) => `${installation.id} ${look.word}`)).toEqual([
      'b Token refused',
      'a Token expiring',
      'a Alerts fail',
      'a Left behind'
    ])
  })

  it('leads an admin to where it is pressed', () => {
    expect(needs([{ ...healthy, ...tokenOf('dead') }], new Map(), 0)[0]?.at).toBe('?rotate')
    expect(needs([healthy], new Map([[healthy.id, { recipients: [channel] }]]), 0)[0]?.at).toBe('#alerts')
    expect(needs([{ ...healthy, status: 'uninstalled', left: ['x'] }], new Map(), 0)[0]?.at).toBeNull()
  })

  it('takes what it was not told for unknown, not for well', () => {
    expect(closerOf(undefined, undefined)).toEqual({})
    expect(closerOf({ current: exposed, history: [], grant: null }, [mail])).toEqual({ exposed: true, recipients: [mail] })
    expect(closerOf({ current: null, history: [token], grant: null }, undefined)).toEqual({ exposed: false })
  })

  it('shows an installation by the worst of it', () => {
    expect(installationLook({ ...healthy, syncs: { active: 1, paused: 0, failing: 1 } }).word).toBe('Failing')
    expect(installationLook({ ...healthy, hold: { reason: 'x', since: 0 }, token: null }).word).toBe('On hold')
    expect(installationLook({ ...healthy, hold: { reason: 'x', since: 0 }, ...tokenOf('dead') }).word).toBe('Token refused')
    expect(installationLook(healthy).word).toBe('Active')
  })
})

describe('connections and recipients', () => {
  it.each([
    ['kept', null, 'Reachable'],
    ['none', null, 'Reachable'],
    ['kept', 'db does not answer.', 'Failing'],
    ['erased', 'db refuses.', 'Secrets needed'],
    ['exposed', null, 'Secrets exposed']
  ] as const)('a connection whose secrets are %s, with the error %s, is: %s', (secrets, error, word) => {
    expect(connectionLook({ secrets, error }).word).toBe(word)
  })

  it('asks for the secrets of this very kind of system', () => {
    expect(secretNames(connector, connection)).toEqual(['password'])
    expect(secretNames(connector, { settings: { system: 'sqlite' } })).toEqual([])
    expect(secretNames(connector, { settings: { system: 'unheard of' } })).toEqual(['password'])
    expect(secretNames(undefined, connection)).toEqual([])
  })

  it('tells a recipient that was reached from one never tried and one out of reach', () => {
    expect([mail, hook, channel].map(each => recipientLook(each).word)).toEqual(['Reached', 'Not used yet', 'Failing'])
  })
})

describe('an erasing', () => {
  it('says in words what goes, and leaves out what there is none of', () => {
    const rows = { job: 3, link: 1204, sync: 3, installation: 1, delivery: 2, run: 0, audit_event: 5, budget: 1 }
    expect(erasedWords(rows)).toEqual([
      '1 installation',
      '3 syncs',
      '1,204 links',
      '2 deliveries',
      'who did what in 5 audit events',
      '4 other rows that belong to them'
    ])
    expect(erasedWords({ budget: 1 })).toEqual(['1 other row that belongs to them'])
    expect(erasedWords({ sync: 0 })).toEqual([])
  })
})
