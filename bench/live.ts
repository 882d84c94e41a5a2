// live-latency: from the CMA's answer to an edit until the changed row stands in the database, one edit at a time with nothing
// else to do, limits on. Beside it what no way round can save: sign and send a webhook is the CMS's affair, but one read of the
// entry and one insert by plain fetch and better-sqlite3 stand at the end of any.
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { articleType, uidOf } from './articles.ts'
import { type Ground, openGround, runOf } from './ground.ts'
import { type Case, quantile, result, type Result } from './result.ts'

const articles = 100
const edits = 60
const warmUp = 5
/** Between two edits: the budget's slots of the one before have passed. */
const pauseMs = 350
const atOnce = 5
const bursts = 12
const burstPauseMs = 1_500

export const liveLatency: Case = {
  name: 'live-latency',
  about: `${edits} edits one at a time, until each stands in the database; limits on`,
  async run({ profileDirectory }) {
    return await onWatchedGround(profileDirectory, async (ground, arrival) => {
      const latencies: number[] = []
      for (let index = 0; index < warmUp + edits; index++) {
        await pause(pauseMs)
        const latency = await arrival(uidOf(index % articles), `edit ${index}`)
        if (index >= warmUp) latencies.push(latency)
      }
      return await linesOf('live-latency', ground, latencies)
    })
  }
}

/** Several people save at the same moment, within what a second allows. */
export const liveBurst: Case = {
  name: 'live-burst',
  about: `${atOnce} edits at the same moment, ${bursts} times, until each stands in the database; limits on`,
  async run({ profileDirectory }) {
    return await onWatchedGround(profileDirectory, async (ground, arrival) => {
      const latencies: number[] = []
      for (let burst = 0; burst <= bursts; burst++) {
        await pause(burstPauseMs)
        const uids = Array.from({ length: atOnce }, (_, index) => uidOf((burst * atOnce + index) % articles))
        const found = await Promise.all(uids.map(uid => arrival(uid, `burst ${burst}`)))
        if (burst > 0) latencies.push(...found)
      }
      return await linesOf('live-burst', ground, latencies)
    })
  }
}

/** Another sync of the same entries takes all reads that nobody more urgent wants. */
export function liveInBackfill(entries: number): Case {
  return {
    name: 'live-in-backfill',
    about: `edits one at a time while another sync lists ${entries} entries; limits on`,
    async run({ profileDirectory }) {
      return await onWatchedGround(
        profileDirectory,
        async (ground, arrival) => {
          const { pages, connectionId, stack } = ground
          const locales = [stack.masterLocale]
          const [other] = await pages.createSyncs({
            direction: 'outbound',
            connectionId,
            contentTypes: [articleType],
            target: 'other_',
            locales
          })
          const over = async () => {
            const run = (await pages.runs()).find(run => run.syncId === other?.id)
            return run !== undefined && run.status !== 'queued' && run.status !== 'running'
          }
          const latencies: number[] = []
          for (let index = 0; !(await over()); index++) {
            await pause(pauseMs)
            latencies.push(await arrival(uidOf(index % entries), `during ${index}`))
          }
          return await linesOf('live-in-backfill', ground, latencies)
        },
        entries
      )
    }
  }
}

type Arrival = (uid: string, teaser: string) => Promise<number>

/** An outbound sync that has caught up; `arrival` edits and resolves with the milliseconds from the CMA's answer to the row. */
async function onWatchedGround(
  profileDirectory: string | undefined,
  work: (ground: Ground, arrival: Arrival) => Promise<Result[]>,
  entries = articles
): Promise<Result[]> {
  const ground = await openGround({ entries, limits: 'on', profileDirectory })
  try {
    const { pages, connectionId, stack, filesDirectory } = ground
    const locales = [stack.masterLocale]
    const [sync] = await pages.createSyncs({ direction: 'outbound', connectionId, contentTypes: [articleType], target: '', locales })
    if (!sync) throw new Error('No sync was made.')
    await runOf(ground, sync, 30 + entries / 200)
    const database = new Database(join(filesDirectory, 'bench.db'), { readonly: true })
    const version = database.prepare(`select version from "${sync.target}" where entry_uid = ?`).pluck()
    try {
      return await work(ground, async (uid, teaser) => {
        const expected = await edit(ground, uid, teaser)
        const startedAt = performance.now()
        while (Number(version.get(uid)) < expected) {
          if (performance.now() - startedAt > 20_000) throw new Error(`The edit of ${uid} did not arrive within 20 s.`)
          await pause(1)
        }
        return performance.now() - startedAt
      })
    } finally {
      database.close()
    }
  } finally {
    await ground.close()
  }
}

async function linesOf(name: string, ground: Ground, latencies: readonly number[]): Promise<Result[]> {
  const rssMiB = await ground.peakRssMiB()
  const file = new Database(join(ground.filesDirectory, 'plain.db'))
  file.pragma('journal_mode = WAL')
  file.exec('create table entry (uid text primary key, body text)')
  const plain: number[] = []
  for (let index = 0; index < 20; index++) {
    await pause(pauseMs / 2)
    plain.push(await readAndInsert(ground, file, uidOf(index)))
  }
  file.close()
  return [0.5, 0.95].map(share => {
    const beside = { name: 'one read by plain fetch and one insert', value: quantile(plain, share) }
    return result(`${name}-p${share * 100}`, quantile(latencies, share), 'ms', beside, rssMiB)
  })
}

/** The version that the edit made. */
async function edit({ person, urls, stack, ada }: Ground, uid: string, teaser: string): Promise<number> {
  const { body } = await person.ask<{ entry: { _version: number } }>(
    `${urls.contentManagement}/v3/content_types/${articleType}/entries/${uid}`,
    {
      method: 'PUT',
      headers: { authtoken: ada.authtoken, api_key: stack.apiKey },
      json: { entry: { teaser } }
    }
  )
  return body.entry._version
}

async function readAndInsert({ person, urls, stack, ada }: Ground, file: Database.Database, uid: string): Promise<number> {
  const startedAt = performance.now()
  const { body } = await person.ask<{ entry: unknown }>(`${urls.contentManagement}/v3/content_types/${articleType}/entries/${uid}`, {
    headers: { authtoken: ada.authtoken, api_key: stack.apiKey }
  })
  file.prepare('insert into entry values (?, ?)').run(uid, JSON.stringify(body.entry))
  return performance.now() - startedAt
}

function pause(milliseconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, milliseconds))
}
