// Contentstack's webhooks on their whole way: the sandbox sends, a door of ours on a free port takes, a worker dispatches. The door is
// as thin as it can be, because the real one's parsing is tested with the server.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { blogApiKey } from '../../sandbox/world/built-in.ts'
import type { Stack, Webhook } from '../../sandbox/world/model.ts'
import { ada } from '../../sandbox/world/people.ts'
import type { Database } from '../../server/database/database.ts'
import { newId } from '../../server/database/id.ts'
import type { NewRow } from '../../server/database/schema.ts'
import { isAppError } from '../../server/errors.ts'
import type { CredentialDeps } from '../../server/installations/credentials.ts'
import { createWorker, type Worker } from '../../server/jobs/worker.ts'
import { silentLog } from '../../server/log.ts'
import { type ListedDelivery, listDeliveries } from '../../server/webhooks/delivery.ts'
import { webhookJobs } from '../../server/webhooks/jobs.ts'
import { receiveContent } from '../../server/webhooks/receive.ts'
import { type Connected, connectBlog, credentialDeps } from './connected.ts'
import { ask, logIn, startSandbox } from './sandbox.ts'

export interface WebhookStage {
  sandbox: Sandbox
  database: Database
  deps: CredentialDeps
  blog: Connected
  worker: Worker
  publicUrl: string
  /** Statuses that the door answered. */
  answers: number[]
  /** The sandbox's webhooks that lead to our door. */
  ours(): Webhook[]
  /** The sandbox's blog, behind the wire. */
  stackThere(): Stack
  deliveries(): Promise<ListedDelivery[]>
  /** A person of the CMS saves a new country; resolves with its uid when its webhooks have been sent. */
  saveCountry(title: string): Promise<string>
  /** An active outbound sync of `country` in `main`, or what `changes` make of it; resolves with its id. */
  /** A person in the CMS saves a content type or a global field, which is made where it is missing. */
  changeSchema(module: string, uid: string): Promise<void>
  insertSync(changes?: Partial<NewRow<'sync'>>): Promise<string>
  close(): Promise<void>
}

export async function openWebhookStage(database: Database): Promise<WebhookStage> {
  const sandbox = await startSandbox()
  const deps = await credentialDeps(sandbox, database)
  const blog = await connectBlog(sandbox, database, deps)
  const answers: number[] = []
  const door = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const [, , , installationId = '', branch] = request.url?.split('/') ?? []
      const webhook = {
        installationId,
        ...(branch === undefined ? {} : { branch }),
        rawBody: Buffer.concat(chunks),
        headers: request.headers
      }
      void receiveContent(database, deps, webhook)
        .then(() => 200)
        .catch((error: unknown) => (isAppError(error) ? 403 : 500))
        .then(status => {
          answers.push(status)
          response.writeHead(status).end()
        })
    })
  })
  await new Promise<void>(resolve => door.listen(0, '127.0.0.1', resolve))
  const publicUrl = `http://127.0.0.1:${(door.address() as AddressInfo).port}`
  const worker = createWorker({ database, kinds: webhookJobs({ ...deps, database, publicUrl }), concurrency: 4, log: silentLog })
  const stackThere = () => sandbox.world.stacks[blogApiKey] as Stack
  const own = { organization_id: blog.installation.organization_id, installation_id: blog.installation.id }

  return {
    sandbox,
    database,
    deps,
    blog,
    worker,
    publicUrl,
    answers,
    stackThere,
    ours: () => Object.values(stackThere().webhooks).filter(webhook => webhook.destinations[0]?.target_url.startsWith(publicUrl)),
    deliveries: () => listDeliveries(database.db, { organizationIds: [own.organization_id], limit: 100 }),
    async saveCountry(title) {
      const headers = { ...(await logIn(sandbox, ada)), api_key: blogApiKey }
      const url = `${sandbox.urls.contentManagement}/v3/content_types/country/entries?locale=en-us`
      const { body } = await ask<{ entry: { uid: string } }>(url, { method: 'POST', headers, body: { entry: { title, code: title } } })
      await sandbox.settleWebhooks()
      return body.entry.uid
    },
    async changeSchema(module, uid) {
      const headers = { ...(await logIn(sandbox, ada)), api_key: blogApiKey }
      const url = `${sandbox.urls.contentManagement}/v3/${module}`
      const name = module.replace(/s$/, '')
      const read = await ask<Record<string, object>>(`${url}/${uid}`, { headers })
      const made = read.status === 200 ? null : { title: uid, uid, schema: [{ uid: 'title', data_type: 'text', display_name: 'Title' }] }
      if (made) await ask(url, { method: 'POST', headers, body: { [name]: made } })
      const { status } = await ask(`${url}/${uid}`, {
        method: 'PUT',
        headers,
        body: { [name]: { ...(made ?? read.body[name]), description: 'x' } }
      })
      if (status !== 200) throw new Error(`changing ${module} ${uid} gave ${status}`)
      await sandbox.settleWebhooks()
    },
    async insertSync(changes = {}) {
      const [id, connectionId, now] = [newId('syn'), newId('con'), Date.now()]
      const times = { created_at: now, updated_at: now }
      const connection = { connector: 'sql', name: 'Test', settings_json: '{}', secrets_json: '{}', checked_at: now, error: null }
      await database.db
        .insertInto('connection')
        .values({ ...own, ...times, ...connection, id: connectionId })
        .execute()
      const sync: NewRow<'sync'> = {
        ...own,
        ...times,
        id,
        connection_id: connectionId,
        link_set_id: newId('lks'),
        name: 'Countries',
        direction: 'outbound',
        content_type: 'country',
        branch: 'main',
        locales_json: '[]',
        mapping_json: '[]',
        options_json: '{}',
        state: 'active',
        paused_reason: null,
        revision: 1,
        ...changes
      }
      await database.db.insertInto('sync').values(sync).execute()
      return id
    },
    async close() {
      await worker.stop()
      door.closeAllConnections()
      await new Promise(resolve => door.close(resolve))
      await sandbox.close()
    }
  }
}
