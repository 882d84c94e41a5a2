// webhook-storm: many concise webhooks on few entries within a second, limits on. What counts is how often the entries are read for
// it: of all that waits for one entry one job remains, so that twice each is the most it should take.
import { setTimeout as pause } from 'node:timers/promises'
import { Pool } from 'undici'
import { until } from '../sandbox/demo/admin.ts'
import { articleType } from './articles.ts'
import { openGround, runOf } from './ground.ts'
import { type Case, result } from './result.ts'

const withinMs = 1_000
const connections = 32
const quietMs = 3_000

export function webhookStorm(webhooks: number, entries: number): Case {
  return {
    name: 'webhook-storm',
    about: `${webhooks} signed webhooks on ${entries} entries within a second; limits on`,
    async run({ profileDirectory }) {
      const ground = await openGround({ entries, limits: 'on', profileDirectory })
      try {
        const { pages, connectionId, stack } = ground
        const locales = [stack.masterLocale]
        const [sync] = await pages.createSyncs({ direction: 'outbound', connectionId, contentTypes: [articleType], target: '', locales })
        if (!sync) throw new Error('No sync was made.')
        await runOf(ground, sync, 60)
        const signed = await until('the webhook to be registered', () => ground.sign(webhooks, entries).catch(() => null), 20)
        const reads = async () => (await ground.writes(articleType)).reads
        const before = await reads()
        const { origin, pathname } = new URL(signed.url)
        const pool = new Pool(origin, { connections, pipelining: 1 })
        const startedAt = performance.now()
        await Promise.all(
          signed.webhooks.map(async ({ body, signature }, index) => {
            await pause((index * withinMs) / webhooks)
            const headers = { ...signed.headers, 'content-type': 'application/json', 'x-contentstack-request-signature': signature }
            const answer = await pool.request({ method: 'POST', path: pathname, headers, body })
            await answer.body.dump()
            if (answer.statusCode !== 202) throw new Error(`A webhook was answered ${answer.statusCode}.`)
          })
        )
        const tookMs = performance.now() - startedAt
        await pool.destroy()
        let last = await reads()
        for (let since = performance.now(); performance.now() - since < quietMs; ) {
          await pause(100)
          const now = await reads()
          if (now !== last) since = performance.now()
          last = now
        }
        const rssMiB = await ground.peakRssMiB()
        return [
          result('webhook-storm-reads', last - before, 'reads', { name: 'entries', value: entries }, rssMiB),
          result('webhook-storm-taken', tookMs, 'ms', { name: 'sent within', value: withinMs }, rssMiB)
        ]
      } finally {
        await ground.close()
      }
    }
  }
}
