// A run whose token is refused in the middle: what it had begun to write is taken back where it surely did not happen, and its job waits
// under the hold as if it had never been taken up. The whole way with a new token: flows/j-token-revoked-mid-run.test.ts.
import { afterEach, expect, it } from 'vitest'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import { forEachDatabase } from '../support/databases.ts'
import { openStage, type Stage } from './stage.ts'

forEachDatabase(open => {
  let stage: Stage
  afterEach(() => stage.cleanUp())

  const writes = () => stage.sandbox.world.stacks[blogApiKey]!.writes.filter(({ contentType }) => contentType === 'country')
  const intents = () => stage.db.selectFrom('intent').select('external_id').execute()
  const runJob = () => stage.db.selectFrom('job').selectAll().where('kind', '=', 'sync.run').executeTakeFirstOrThrow()

  async function runInto(kind: 'revoked' | 'refused for once'): Promise<void> {
    stage = await openStage(await open())
    stage.sql('create table land (cca3 text primary key, name text)')
    for (let index = 0; index < 40; index += 1) stage.sql('insert into land values (?, ?)', `L${index}`, `Land ${index}`)
    const { faults } = stage.sandbox.context
    const path = { method: 'POST', pathPattern: '/content_types/country/entries', skip: 20 }
    if (kind === 'refused for once') faults.add({ kind: '401', ...path })
    const held = kind === 'revoked' ? faults.add({ kind: 'hold', ...path }) : null
    const [sync] = await stage.create({ direction: 'inbound', contentTypes: ['country'], target: 'land', externalIdField: 'code' })
    expect(sync).toBeDefined()
    const drained = stage.drain()
    if (held) {
      await faults.untilHit(held.id)
      for (const token of Object.values(stage.sandbox.world.stacks[blogApiKey]!.managementTokens)) token.dead = true
      faults.clear()
    }
    await drained
  }

  it('waits under the hold with no attempt spent and nothing in doubt, due the moment it is released', async () => {
    await runInto('revoked')
    expect(writes().length).toBeGreaterThanOrEqual(20)
    expect(writes().length).toBeLessThan(40)
    expect(await intents()).toEqual([])
    expect(await stage.db.selectFrom('job_hold').select('group_id').execute()).toHaveLength(1)
    const job = await runJob()
    expect(job).toMatchObject({ state: 'ready', attempt: 0 })
    expect(job.run_at).toBeLessThanOrEqual(Date.now())
  })

  it('goes on by itself after a refusal that the token was not guilty of', async () => {
    await runInto('refused for once')
    expect(writes()).toHaveLength(40)
    expect(await intents()).toEqual([])
    expect(await stage.db.selectFrom('job_hold').select('group_id').execute()).toEqual([])
    expect(await runJob()).toMatchObject({ state: 'done', attempt: 1 })
  })
})
