// The door of the `quayside` command: what a mark covers, how long it is good, and who can be in its way.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { markOf } from '../../server/http/operator/operator.ts'
import { generateKeyRing, parseKeyRing } from '../../server/vault/cipher.ts'
import { type House, openHouse } from './house.ts'

describe.each(['sqlite', 'postgres'] as const)('the operator’s door on %s', dialect => {
  let house: House
  beforeAll(async () => {
    house = await openHouse(dialect)
  })
  afterAll(() => house.close())

  interface Command {
    method: string
    path: string
    body: string
    sentAt: number
    word: string
    actor: string
  }
  const newKey = { name: 'nightly', scopes: [{ module: 'entries', actions: ['read'] }], expiresInDays: 7 }
  let words = 0
  const command = (change: Partial<Command> = {}): Command => ({
    method: 'POST',
    path: `/api/operator/installations/${house.harbour.installationId}/keys`,
    body: JSON.stringify(newKey),
    sentAt: Date.now(),
    word: `word-${(words += 1)}`,
    actor: 'olga',
    ...change
  })

  /** `marked` is what the mark was made for, `sent` what goes over the wire. */
  function send(marked: Command, sent: Partial<Command> = {}, key = house.keyRing.current, headers: Record<string, string> = {}) {
    const { method, path, body, sentAt, word, actor } = { ...marked, ...sent }
    return house.ask(path, {
      method,
      headers: {
        'x-quayside-actor': actor,
        'x-quayside-sent-at': String(sentAt),
        'x-quayside-word': word,
        'x-quayside-mark': markOf(key, marked),
        ...headers
      },
      ...(body === '' ? {} : { json: body })
    })
  }
  const keys = async () => (await house.db.selectFrom('access_key').select('id').execute()).length

  it('takes a command once, and never again', async () => {
    const marked = command()
    const before = await keys()
    expect((await send(marked)).status).toBe(201)
    expect((await send(marked)).status).toBe(401)
    expect(await keys()).toBe(before + 1)
    const { actor_name: actor } = await house.db
      .selectFrom('audit_event')
      .select('actor_name')
      .where('action', '=', 'key.create')
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirstOrThrow()
    expect(actor).toBe('quayside command (olga)')
  })

  it.each<[string, Partial<Command>, Partial<Command>]>([
    ['another body', {}, { body: JSON.stringify({ ...newKey, expiresInDays: null }) }],
    ['a body where none was', { body: '' }, { body: JSON.stringify(newKey) }],
    ['another installation', {}, { path: '/api/operator/installations/ins_other/keys' }],
    ['the same place written otherwise', {}, { path: '/api/operator/keys/../keys' }],
    ['a query', { method: 'GET', path: '/api/operator/keys', body: '' }, { path: '/api/operator/keys?x=1' }],
    ['another method', { method: 'GET', path: '/api/operator/keys', body: '' }, { method: 'DELETE' }],
    ['another name', {}, { actor: 'somebody-else' }],
    ['another word', {}, { word: 'replayed-with-a-new-word' }],
    ['a later time', { sentAt: Date.now() - 120_000 }, { sentAt: Date.now() }],
    ['the time it was marked, too long ago', { sentAt: Date.now() - 61_000 }, {}],
    ['a time to come', { sentAt: Date.now() + 3_600_000 }, {}],
    ['no time', { sentAt: Number.NaN }, {}],
    ['endless time', { sentAt: Number.POSITIVE_INFINITY }, {}]
  ])('refuses a mark sent with %s', async (_case, marked, sent) => {
    const before = await keys()
    const { status, error } = await send(command(marked), sent)
    expect([status, error?.message]).toEqual([401, expect.stringContaining('not marked with the key ring')])
    expect(await keys()).toBe(before)
  })

  it.each<[string, Record<string, string>]>([
    ['no mark', { 'x-quayside-mark': '' }],
    ['a mark of another length', { 'x-quayside-mark': 'abc' }],
    ['a mark that is no hex', { 'x-quayside-mark': 'ü'.repeat(32) }],
    ['a session of the console', { 'x-quayside-mark': '', cookie: '__Host-quayside=x' }]
  ])('refuses %s', async (_case, headers) => {
    expect((await send(command(), {}, house.keyRing.current, headers)).status).toBe(401)
  })

  it('refuses the mark of another key ring', async () => {
    expect((await send(command(), {}, parseKeyRing(generateKeyRing()).current)).status).toBe(401)
  })

  it.each([
    ['text that is no JSON', '{"name":', 'could not be read'],
    [
      'a misspelt scope',
      JSON.stringify({ ...newKey, scopes: [{ module: 'entries', actions: ['read'], contentType: ['article'] }] }),
      'scopes.0'
    ],
    ['an expiry beyond ten years', JSON.stringify({ ...newKey, expiresInDays: 4000 }), 'expiresInDays'],
    ['only a prototype', '{"__proto__":{"name":"x","scopes":[],"expiresInDays":null}}', 'name']
  ])('says what is wrong with %s, rightly marked', async (_case, body, says) => {
    const { status, error } = await send(command({ body }))
    expect([status, error?.message]).toEqual([400, expect.stringContaining(says)])
  })

  it('does not let strangers use up the operator’s limit', async () => {
    const statuses: number[] = []
    for (let count = 0; count < 150; count += 1) statuses.push((await house.ask('/api/operator/keys')).status)
    expect(new Set(statuses)).toEqual(new Set([401, 429]))
    expect((await send(command({ method: 'GET', path: '/api/operator/keys', body: '' }))).status).toBe(200)
  })

  it('leaves no mark in the log', async () => {
    const marked = command()
    await send(marked, { actor: 'x' })
    expect(house.log()).not.toContain(markOf(house.keyRing.current, marked))
  })
})
