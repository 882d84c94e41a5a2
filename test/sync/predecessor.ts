// What a reinstall leaves behind, for the tests of taking it over: the old installation ended as the lifecycle event ends it, and a
// new one of the same stack, connected with a token of its own.
import type { Database, Db } from '../../server/database/database.ts'
import type { Row } from '../../server/database/schema.ts'
import type { CredentialDeps } from '../../server/installations/credentials.ts'
import { type Installation, uninstall } from '../../server/installations/installation.ts'
import { harbourPublishing } from '../../sandbox/world/people.ts'
import { connectBlog } from '../support/connected.ts'
import type { Stage } from './stage.ts'

export async function endOf(db: Db, credentials: CredentialDeps, row: Installation): Promise<void> {
  await uninstall(db, credentials, {
    region: row.region,
    appUid: row.app_uid,
    installationUid: row.installation_uid,
    organizationUid: harbourPublishing,
    stackApiKey: row.stack_api_key
  })
}

/** The stage's installation ends; another of the same stack is active. */
export async function reinstall(stage: Stage, old: Installation = stage.installation): Promise<Installation> {
  await endOf(stage.db, stage.credentials, old)
  return (await connectBlog(stage.sandbox, stage.database, stage.credentials)).installation
}

/** Everything that hangs on an installation, by table, so that a test sees what moved. */
export async function belongings({ db }: Pick<Database, 'db'>, installationId: string): Promise<Record<string, number>> {
  const found: Record<string, number> = {}
  for (const table of ['connection', 'sync', 'link', 'run', 'intent'] as const) {
    const row = await db
      .selectFrom(table as 'sync')
      .select(eb => eb.fn.countAll<number>().as('count'))
      .where('installation_id', '=', installationId)
      .executeTakeFirstOrThrow()
    found[table] = row.count
  }
  return found
}

/** Links as a run left them, straight into the table. */
export async function plantLinks(db: Db, sync: Row<'sync'>, count: number): Promise<void> {
  for (let from = 0; from < count; from += 500) {
    await db
      .insertInto('link')
      .values(
        Array.from({ length: Math.min(500, count - from) }, (_, index) => {
          const name = String(from + index).padStart(7, '0')
          return {
            link_set_id: sync.link_set_id,
            branch: sync.branch,
            locale: 'en-us',
            external_id: `planted-${name}`,
            organization_id: sync.organization_id,
            installation_id: sync.installation_id,
            sync_id: sync.id,
            content_type: sync.content_type,
            entry_uid: `blt${name}`,
            source_hash: `hash-${name}`,
            stack_hash: `stack-${name}`,
            destination_fingerprint: '',
            hash_version: 1,
            sync_revision: 1,
            order: 1_700_000_000_000 + from + index,
            version: 3,
            status: 'synced' as const,
            error: null,
            cause: 'run run_planted',
            last_run_id: null,
            claim_token: null,
            claim_until: null,
            synced_at: 1_700_000_000_000,
            updated_at: 1_700_000_000_000
          }
        })
      )
      .execute()
  }
}
