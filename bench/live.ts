// live-latency: from the CMA's answer to an edit until the changed row stands in the database, one edit at a time with nothing
// else to do, limits on. Beside it what no way round can save: sign and send a webhook is the CMS's affair, but one read of the
// entry and one insert by plain fetch and better-sqlite3 stand at the end of any.
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { articleType, uidOf } from './articles.ts'
import { type Ground, openGround, runOf } from './ground.ts'
import { type Case, quantile, result } from './result.ts'

const edits = 60
const warmUp = 5
/** Between two edits: the budget's slots of the one before have passed. */
const pauseMs = 350

export const liveLatency: Case = {
  name: 'live-latency',
  about: `${edits} edits one at a time, until each stands in the database; limits on`,
  async run({ profileDirectory }) {
    const ground = await openGround({ entries: 100, limits: 'on', profileDirectory })
    try {
      const { pages, connectionId, stack, filesDirectory } = ground
      const [sync] = await pages.createSyncs({
        direction: 'outbound',
        connectionId,
        contentTypes: [articleType],
        target: '',
        locales: [stack.masterLocale]
      })
      if (!sync) throw new Error('No sync was made.')
      await runOf(ground, sync, 30)
      const database = new Database(join(filesDirectory, 'bench.db'), { readonly: true })
      const version = database.prepare(`select version from "${sync.target}" where entry_uid = ?`).pluck()
      const latencies: number[] = []
      const plain: number[] = []
      for (let index = 0; index < warmUp + edits; index++) {
        await pause(pauseMs)
        const uid = uidOf(index % 100)
        const expected = await edit(ground, uid, `edit ${index}`)
        const startedAt = performance.now()
        while (Number(version.get(uid)) < expected) {
          if (performance.now() - startedAt > 20_000) throw new Error(`The edit of ${uid} did not arrive within 20 s.`)
          await pause(1)
        }
        if (index >= warmUp) latencies.push(performance.now() - startedAt)
      }
      database.close()
      const rssMiB = await ground.peakRssMiB()
      const file = new Database(join(filesDirectory, 'plain.db'))
      file.pragma('journal_mode = WAL')
      file.exec('create table entry (uid text primary key, body text)')
      for (let index = 0; index < 20; index++) {
        await pause(pauseMs / 2)
        plain.push(await readAndInsert(ground, file, uidOf(index)))
      }
      file.close()
      return [0.5, 0.95].map(share =>
        result(
          `live-latency-p${share * 100}`,
          quantile(latencies, share),
          'ms',
          { name: 'one read by plain fetch and one insert', value: quantile(plain, share) },
          rssMiB
        )
      )
    } finally {
      await ground.close()
    }
  }
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
