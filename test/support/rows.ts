// Builders for the rows that most tests need before they can begin: a tenant and an installation. Everything may be overridden;
// what is not given is plausible and different each time.
import type { Db } from '../../server/database/database.ts'
import { newId } from '../../server/database/id.ts'
import type { NewRow, Row } from '../../server/database/schema.ts'

export async function insertOrganization(db: Db, given: Partial<NewRow<'organization'>> = {}): Promise<Row<'organization'>> {
  const id = given.id ?? newId('org')
  return await db
    .insertInto('organization')
    .values({
      id,
      region: 'sandbox',
      organization_uid: `blt${id.slice(-16)}`,
      name: 'Harbour',
      status: 'claimed',
      created_at: Date.now(),
      ...given
    })
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** With its organization, unless `organization_id` is given. */
export async function insertInstallation(db: Db, given: Partial<NewRow<'installation'>> = {}): Promise<Row<'installation'>> {
  const id = given.id ?? newId('ins')
  const organizationId = given.organization_id ?? (await insertOrganization(db, given.region ? { region: given.region } : {})).id
  return await db
    .insertInto('installation')
    .values({
      id,
      region: 'sandbox',
      installation_uid: `inst${id.slice(-16)}`,
      app_uid: 'app-quayside',
      stack_api_key: `blt${id.slice(-16)}`,
      stack_name: 'Harbour site',
      master_locale: 'en-us',
      status: 'active',
      webhook_uid: null,
      webhook_secret_id: null,
      created_at: Date.now(),
      updated_at: Date.now(),
      ...given,
      organization_id: organizationId
    })
    .returningAll()
    .executeTakeFirstOrThrow()
}
