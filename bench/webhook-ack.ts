// webhook-ack: how fast signed content webhooks are acknowledged, by a closed loop of connections that each send the next one when
// the last was answered. The server verifies, stores and enqueues before it answers, and works on what it took meanwhile. Beside
// it a bare Express route in a process of its own that checks nothing and inserts one row in the same kind of transaction (SQLite,
// WAL, synchronous FULL).
import { fork } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Pool } from 'undici'
import { until } from '../sandbox/demo/admin.ts'
import { articleType } from './articles.ts'
import { openGround, runOf, type SignedWebhooks } from './ground.ts'
import { type Case, median, quantile, result } from './result.ts'

const connections = 16
const perRound = 2_000
const warmUp = 500
const rounds = 3

interface Loop {
  perSecond: number
  p50: number
  p99: number
}

export const webhookAck: Case = {
  name: 'webhook-ack',
  about: `signed webhooks over ${connections} connections, beside a bare Express route`,
  async run({ profileDirectory }) {
    const ground = await openGround({ entries: 1_000, limits: 'on', profileDirectory })
    const bare = await startBareRoute(join(ground.filesDirectory, 'bare.db'))
    try {
      const { pages, connectionId, stack } = ground
      const [sync] = await pages.createSyncs({
        direction: 'outbound',
        connectionId,
        contentTypes: [articleType],
        target: '',
        locales: [stack.masterLocale]
      })
      if (!sync) throw new Error('No sync was made.')
      await runOf(ground, sync, 60)
      const signed = await until('the webhook to be registered', () => ground.sign(warmUp + rounds * perRound, 1_000).catch(() => null), 20)
      const ours: Loop[] = []
      const theirs: Loop[] = []
      const take = (count: number) => signed.webhooks.splice(0, count)
      const first = take(warmUp)
      await closedLoop(signed, signed.url, first)
      await closedLoop(signed, bare.url, first)
      for (let round = 0; round < rounds; round++) {
        const webhooks = take(perRound)
        ours.push(await closedLoop(signed, signed.url, webhooks))
        theirs.push(await closedLoop(signed, bare.url, webhooks))
      }
      const rssMiB = await ground.peakRssMiB()
      const line = (name: string, unit: string, of: (loop: Loop) => number) =>
        result(
          `webhook-ack-${name}`,
          median(ours.map(of)),
          unit,
          { name: 'bare Express route, one insert, same transaction', value: median(theirs.map(of)) },
          rssMiB
        )
      return [
        line('throughput', 'requests/s', loop => loop.perSecond),
        line('p50', 'ms', loop => loop.p50),
        line('p99', 'ms', loop => loop.p99)
      ]
    } finally {
      bare.close()
      await ground.close()
    }
  }
}

async function closedLoop({ headers }: SignedWebhooks, url: string, webhooks: SignedWebhooks['webhooks']): Promise<Loop> {
  const { origin, pathname } = new URL(url)
  const pool = new Pool(origin, { connections, pipelining: 1 })
  const latencies: number[] = []
  let next = 0
  const sender = async () => {
    for (let webhook = webhooks[next++]; webhook; webhook = webhooks[next++]) {
      const sentAt = performance.now()
      const { statusCode, body } = await pool.request({
        method: 'POST',
        path: pathname,
        headers: { ...headers, 'content-type': 'application/json', 'x-contentstack-request-signature': webhook.signature },
        body: webhook.body
      })
      await body.dump()
      if (statusCode !== 202) throw new Error(`A webhook was answered ${statusCode}.`)
      latencies.push(performance.now() - sentAt)
    }
  }
  const startedAt = performance.now()
  try {
    await Promise.all(Array.from({ length: connections }, sender))
  } finally {
    await pool.destroy()
  }
  const seconds = (performance.now() - startedAt) / 1000
  return { perSecond: webhooks.length / seconds, p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) }
}

async function startBareRoute(file: string): Promise<{ url: string; close: () => void }> {
  const child = fork(fileURLToPath(new URL('./bare-route.process.ts', import.meta.url)), [file], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: []
  })
  const url = await new Promise<string>((resolve, reject) => {
    child.once('message', message => resolve(message as string))
    child.once('exit', () => reject(new Error('The bare route did not start.')))
  })
  return { url, close: () => child.kill() }
}
