// The custody sequence, cut off at every one of its requests: before it leaves, and after Contentstack carried it out but before we knew.
// Run again, it must end as if nothing had happened.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { ada } from '../../sandbox/world/people.ts'
import { verifyAudit } from '../../server/audit/audit.ts'
import { custodyOf, installationJobs } from '../../server/installations/custody.ts'
import { finishGrant, grantById } from '../../server/installations/grant.ts'
import { silentLog } from '../../server/log.ts'
import { forEachDatabase } from '../support/databases.ts'
import { type Installed, installedOn, quickSandbox, tokensAt } from '../support/installed.ts'

forEachDatabase(open => {
  let sandbox: Sandbox
  let here: Installed
  beforeAll(async () => {
    sandbox = await quickSandbox()
    here = await installedOn(await open(), sandbox)
    await here.grant()
  })
  afterAll(() => sandbox.close())

  /** Runs the grant's job once; killed at the nth request it makes. Returns how many requests it made. */
  async function run(grantId: string, attempt: number, kill?: { at: number; when: 'before' | 'after' }): Promise<number> {
    const process = new AbortController()
    let requests = 0
    const mortal: typeof fetch = async (input, init) => {
      requests += 1
      const dies = kill?.at === requests
      if (dies && kill.when === 'before') process.abort(new Error('killed'))
      process.signal.throwIfAborted()
      const { signal: _, ...request } = init ?? {}
      const response = await fetch(input, request)
      if (dies) process.abort(new Error('killed'))
      process.signal.throwIfAborted()
      return response
    }
    const [job] = installationJobs(here.db, { ...here.deps, fetch: mortal })
    const done = job!.run({ grantId }, { jobId: 1, fence: 1, attempt, signal: process.signal, log: silentLog })
    await done.catch((error: Error) => {
      if (!process.signal.aborted) throw error
    })
    return requests
  }

  async function authorised(): Promise<string> {
    const { grantId, ...callback } = await here.authorise(ada, { purpose: 'rotate', expiresInDays: 10 })
    await finishGrant(here.db, here.deps, callback)
    return grantId
  }

  describe('a rotation killed', () => {
    it.each(['before', 'after'] as const)('%s any of its requests finishes when it is run again', async when => {
      const whole = await run(await authorised(), 1)
      expect(whole).toBeGreaterThan(10)
      for (let at = 1; at <= whole; at += 1) {
        const grantId = await authorised()
        await run(grantId, 1, { at, when })
        await run(grantId, 2)
        const { current, history } = await custodyOf(here.db, here.deps, here.installation.id)
        const living = await here.db
          .selectFrom('secret')
          .select('purpose')
          .where('erased_at', 'is', null)
          .where('installation_id', 'is not', null)
          .execute()
        expect({
          killed: `${when} request ${at}`,
          token: current?.status,
          grant: (await grantById(here.db, grantId)).status,
          former: [...new Set(history.map(({ status }) => status))],
          atContentstack: tokensAt(sandbox).map(({ name }) => name),
          secrets: living.map(({ purpose }) => purpose),
          authorizations: Object.values(sandbox.world.authorizations).filter(({ revokedAt }) => revokedAt === null)
        }).toEqual({
          killed: `${when} request ${at}`,
          token: 'active',
          grant: 'revoked',
          former: ['retired'],
          atContentstack: [current?.name],
          secrets: ['management_token'],
          authorizations: []
        })
      }
      expect((await verifyAudit(here.db, here.deps.vault, here.installation.organization_id)).ok).toBe(true)
    })
  })
})
