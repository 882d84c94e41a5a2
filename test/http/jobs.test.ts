// Dead letters behind the doors: who sees which, in which words, and what putting in again and discarding leave behind.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { AnyJob, DeadJob, JobsAnswer } from '../../server/http/contract/jobs.ts'
import type { List } from '../../server/http/contract/stack.ts'
import { markOf } from '../../server/http/operator/operator.ts'
import { settleJobs, claimJobs } from '../../server/jobs/claim.ts'
import { enqueue } from '../../server/jobs/queue.ts'
import { type House, inConsole, inFrame, openHouse, type Tenant } from './house.ts'

describe.each(['sqlite', 'postgres'] as const)('dead jobs on %s', dialect => {
  let house: House
  let console: Record<string, string>
  let frame: Record<string, string>
  let ids: Record<'record' | 'inside' | 'run' | 'shore' | 'alert' | 'system', number>
  beforeAll(async () => {
    house = await openHouse(dialect)
    console = await inConsole(house, { [house.harbour.organizationId]: 'operator' })
    frame = await inFrame(house, house.harbour, house.harbour.stackAdmin)
  })
  afterAll(() => house.close())

  beforeEach(async () => {
    await house.db.deleteFrom('job').execute()
    const die = async (kind: string, group: string, payload: unknown, error: string, internal = false) => {
      const id = await enqueue(house.db, { kind, lane: 'people', group, payload, key: `${kind} ${group}` })
      const [job] = await claimJobs(house.db, { lane: 'people', limit: 1, leaseSeconds: 60, after: '', groupLimit: 1, busyHere: {} })
      await settleJobs(house.db, [{ job: job!, ending: { state: 'dead', error, began: true, internal } }])
      return id!
    }
    const { installationId, syncId, runId } = house.harbour
    ids = {
      record: await die(
        'sync.record',
        installationId,
        { syncId, entryUid: 'blt1', locale: 'en-us', cause: 'webhook dlv_1' },
        'The table is gone.'
      ),
      inside: await die(
        'sync.record',
        installationId,
        { syncId, entryUid: 'blt2', locale: 'de-de' },
        'duplicate key value (mail)=(a@b.c)',
        true
      ),
      run: await die('sync.run', installationId, { runId }, 'the process that ran it stopped before it was done'),
      shore: await die('sync.record', house.shore.installationId, { syncId: house.shore.syncId, entryUid: 'blt9', locale: 'en-us' }, 'No.'),
      alert: await die('alerts.send', `alerts ${installationId}`, { alertId: 'alt_1' }, 'No.'),
      system: await die('audit.anchor', '', {}, 'The disk is full.')
    }
  })

  let words = 0
  async function operator(method: 'GET' | 'POST', path: string, json?: unknown) {
    const body = json === undefined ? '' : JSON.stringify(json)
    const marked = { method, path: `/api/operator/jobs${path}`, body, sentAt: Date.now(), word: `jobs-${(words += 1)}`, actor: 'olga' }
    return await house.ask(marked.path, {
      method,
      headers: {
        'x-quayside-actor': marked.actor,
        'x-quayside-sent-at': String(marked.sentAt),
        'x-quayside-word': marked.word,
        'x-quayside-mark': markOf(house.keyRing.current, marked)
      },
      ...(body === '' ? {} : { json: body })
    })
  }
  const stateOf = async (id: number) => (await house.db.selectFrom('job').select('state').where('id', '=', id).executeTakeFirst())?.state
  const doors = () => [
    { base: `/api/console/installations/${house.harbour.installationId}`, headers: console },
    { base: '/api/extension/stack', headers: frame }
  ]
  async function eventsOf({ organizationId }: Tenant, action: string) {
    const rows = await house.db.selectFrom('audit_event').selectAll().where('organization_id', '=', organizationId).execute()
    return rows.filter(row => row.action === action)
  }

  it('shows each tenant its own, with the words meant for people and nothing of what was not', async () => {
    const asked = [
      ...doors().map(({ base, headers }) => ({ path: `${base}/jobs`, headers })),
      { path: '/api/console/jobs', headers: console }
    ]
    for (const { path, headers } of asked) {
      const { status, body, text } = await house.ask(path, { headers })
      expect(status).toBe(200)
      const { items } = body as List<DeadJob>
      expect(items.map(({ id }) => id)).toEqual([ids.alert, ids.run, ids.inside, ids.record])
      expect(items.find(({ id }) => id === ids.record)).toMatchObject({
        kind: 'sync.record',
        installationId: house.harbour.installationId,
        about: 'blt1 (en-us)',
        error: 'The table is gone.',
        attempts: [{ attempt: 1, error: 'The table is gone.' }],
        retry: { possible: true }
      })
      expect(items.find(({ id }) => id === ids.run)).toMatchObject({ retry: { possible: false } })
      expect(text).not.toContain('duplicate key')
      expect(text).not.toContain('payload')
    }
  })

  it('shows the operator all of them, in full', async () => {
    const listed = (await operator('GET', '/')).body as List<DeadJob>
    expect(listed.items.map(({ id }) => id)).toEqual(Object.values(ids).toReversed())
    const ofShore = (await operator('GET', `/?installation=${house.shore.installationId}`)).body as List<DeadJob>
    expect(ofShore.items.map(({ id }) => id)).toEqual([ids.shore])
    const one = (await operator('GET', `/${ids.inside}`)).body as AnyJob
    expect(one).toMatchObject({
      state: 'dead',
      error: 'duplicate key value (mail)=(a@b.c)',
      payload: { syncId: house.harbour.syncId, entryUid: 'blt2', locale: 'de-de' }
    })
    expect((await operator('GET', '/999999')).status).toBe(404)
    expect((await operator('GET', '/x')).status).toBe(404)
  })

  it('puts one in again behind both doors, once, with its event', async () => {
    for (const { base, headers } of doors()) {
      const before = (await eventsOf(house.harbour, 'job.retry')).length
      const id = base.includes('console') ? ids.record : ids.inside
      const answer = await house.ask(`${base}/jobs/${id}/retry`, { method: 'POST', headers, json: {} })
      expect([answer.status, answer.body]).toEqual([200, { jobs: [{ id, kind: 'sync.record' }], more: false }])
      expect(await stateOf(id)).toBe('cancelled')
      const again = await house.db.selectFrom('job').selectAll().where('replaces', '=', id).executeTakeFirstOrThrow()
      expect(again).toMatchObject({ state: 'ready', attempt: 0, key: `sync.record ${house.harbour.installationId}` })
      expect((await house.ask(`${base}/jobs/${id}/retry`, { method: 'POST', headers, json: {} })).status).toBe(404)
      const events = await eventsOf(house.harbour, 'job.retry')
      expect(events).toHaveLength(before + 1)
      expect(JSON.parse(events.at(-1)!.detail_json)).toMatchObject({ jobs: [{ id, kind: 'sync.record' }] })
    }
  })

  it.each(['retry', 'discard'])('answers as if there were none to who would %s another tenant’s, or the system’s', async verb => {
    for (const { base, headers } of doors()) {
      for (const id of [ids.shore, ids.system, 4_000_000, 'x']) {
        expect((await house.ask(`${base}/jobs/${id}/${verb}`, { method: 'POST', headers, json: {} })).status).toBe(404)
      }
    }
    expect([await stateOf(ids.shore), await stateOf(ids.system)]).toEqual(['dead', 'dead'])
  })

  it('does not put a run in again, which has ended, and says what to do instead', async () => {
    const { base, headers } = doors()[0]!
    const answer = await house.ask(`${base}/jobs/${ids.run}/retry`, { method: 'POST', headers, json: {} })
    expect([answer.status, answer.error?.remedy]).toEqual([409, 'Start the sync again where it stands, and discard the job.'])
    expect((await house.ask(`${base}/jobs/${ids.run}/discard`, { method: 'POST', headers, json: {} })).status).toBe(200)
    expect(await stateOf(ids.run)).toBe('cancelled')
  })

  it('takes the operator’s word for many at once, each tenant’s trail getting its own', async () => {
    expect((await operator('POST', '/retry', {})).error?.code).toBe('invalid')
    expect((await operator('POST', '/retry', { ids: [] })).error?.code).toBe('invalid')
    expect((await operator('POST', '/discard', { all: false })).error?.code).toBe('invalid')
    const done = (await operator('POST', '/retry', { kind: 'sync.record' })).body as JobsAnswer
    expect(done.jobs.map(({ id }) => id)).toEqual([ids.record, ids.inside, ids.shore])
    const [event] = (await eventsOf(house.shore, 'job.retry')).slice(-1)
    expect(event).toMatchObject({ actor_name: 'quayside command (olga)', installation_id: house.shore.installationId })
    expect(event!.detail_json).not.toContain('blt1')
    const rest = (await operator('POST', '/retry', { all: true })).body as JobsAnswer
    expect(rest.jobs.map(({ id }) => id)).toEqual([ids.alert, ids.system])
    expect(((await operator('POST', '/discard', { all: true })).body as JobsAnswer).jobs).toEqual([{ id: ids.run, kind: 'sync.run' }])
  })
})
