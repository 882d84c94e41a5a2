// A process that takes a grant's callback and carries the grant out, to be killed anywhere on its way. It stands alone so that nothing
// of it is left but what it wrote down: who finishes is another process, on the same database.
import type { AppCredentials } from '../../server/contentstack/oauth.ts'
import { openDatabase } from '../../server/database/database.ts'
import { createBudget } from '../../server/installations/budget.ts'
import { installationJobs } from '../../server/installations/custody.ts'
import { finishGrant, type GrantCallback } from '../../server/installations/grant.ts'
import { createWorker } from '../../server/jobs/worker.ts'
import { silentLog } from '../../server/log.ts'
import { parseKeyRing } from '../../server/vault/cipher.ts'
import { openVault } from '../../server/vault/vault.ts'

export interface CustodyTask {
  databaseUrl: string
  keyRing: string
  app: AppCredentials
  publicUrl: string
  callback: GrantCallback
}

process.once('message', (task: CustodyTask) => {
  void (async () => {
    const { databaseUrl, keyRing, app, publicUrl, callback } = task
    const database = await openDatabase(databaseUrl)
    const vault = await openVault(database.db, { ring: parseKeyRing(keyRing) })
    const deps = { vault, apps: [app], publicUrl, budget: createBudget(database), log: silentLog, drainSeconds: 0 }
    await finishGrant(database.db, deps, callback)
    const worker = createWorker({ database, kinds: installationJobs(database.db, deps), concurrency: 1, log: silentLog })
    await worker.drain({ until: Date.now() + 600_000 })
    await database.close()
    process.disconnect()
  })()
})
