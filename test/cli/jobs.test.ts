// `quayside jobs` beside a real server: a record whose destination refuses it dies, is read, put in again and discarded.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, it } from 'vitest'
import { type Database, openDatabase } from '../../server/database/database.ts'
import type { AnyJob, DeadJob } from '../../server/http/contract/jobs.ts'
import { type Connected, connect, type Flow, onBothDatabases } from '../support/flow.ts'

const command = fileURLToPath(new URL('../../server/quayside.cjs', import.meta.url))

onBothDatabases('jobs', open => {
  let flow: Flow
  let connected: Connected
  let ids: number[]

  beforeAll(async () => {
    flow = await open()
    connected = await connect(flow)
    const database: Database = await openDatabase(flow.server.environment['QUAYSIDE_DATABASE_URL']!)
    const rows = await database.db
      .insertInto('job')
      .values(
        ['blt1', 'blt2', 'blt3'].map(entryUid => ({
          kind: 'sync.record',
          lane: 'live' as const,
          group_id: connected.installationId,
          payload_json: JSON.stringify({ syncId: 'syn_gone', entryUid, locale: 'en-us' }),
          state: 'dead' as const,
          attempt: 12,
          max_attempts: 12,
          run_at: 0,
          error: `The table refuses ${entryUid}.`,
          errors_json: JSON.stringify([{ attempt: 12, at: 1_700_000_000_000, error: `The table refuses ${entryUid}.`, internal: false }]),
          created_at: 0,
          finished_at: Date.now()
        }))
      )
      .returning('id')
      .execute()
    ids = rows.map(({ id }) => id)
    await database.close()
  })

  function jobs(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [command, 'jobs', ...args], { env: flow.server.environment })
      let [out, err] = ['', '']
      child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
      child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
      child.once('error', reject)
      child.once('close', code => resolve({ code, out, err }))
    })
  }

  it('lists them in words', async () => {
    const { code, out } = await jobs()
    expect(code).toBe(0)
    expect(out.split('\n')[0]).toMatch(/^ *job +kind +stack +about +attempts +died +error$/)
    expect(out).toContain('The table refuses blt2.')
  })

  it('lists those of an installation for programs', async () => {
    const listed = JSON.parse((await jobs('list', '--installation', connected.installationId, '--json')).out) as DeadJob[]
    expect(listed.map(({ id }) => id)).toEqual(ids.toReversed())
  })

  it('shows one whole', async () => {
    expect((await jobs('show', String(ids[0]))).out).toMatch(/attempt 12 +2023-11-14T22:13:20.000Z The table refuses blt1\./)
    const one = JSON.parse((await jobs('show', String(ids[0]), '--json')).out) as AnyJob
    expect(one).toMatchObject({ id: ids[0], state: 'dead', payload: { entryUid: 'blt1' } })
  })

  it('puts one in again', async () => {
    expect(await jobs('retry', String(ids[0]))).toMatchObject({ code: 0, out: '1 job put in again\n' })
    expect(JSON.parse((await jobs('show', String(ids[0]), '--json')).out)).toMatchObject({ state: 'cancelled' })
  })

  it('discards the rest', async () => {
    expect(await jobs('discard', '--kind', 'sync.record')).toMatchObject({ code: 0, out: '2 jobs discarded\n' })
    expect(JSON.parse((await jobs('list', '--json')).out)).toEqual([])
  })

  it.each([
    [['retry'], 1, 'It was not said which jobs.'],
    [['retry', 'x'], 1, '"x" is not the id of a job.'],
    [['show', '987654'], 1, 'There is no job 987654.'],
    [['list', '--installation', 'ins_nobody'], 1, 'There is no installation ins_nobody']
  ])('refuses %j', async (args, code, words) => {
    const answer = await jobs(...args)
    expect(answer.code).toBe(code)
    expect(answer.err).toContain(words)
  })
})
