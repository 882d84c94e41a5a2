// Our app in one stack: the row and its transitions. Nothing here speaks to Contentstack; what others proved (a lifecycle event, an
// app-token, an install callback) comes in as facts that must agree with what is known.
//
//   (none) -> pending      install callback: an exchanged code, which binds nobody
//   (none) -> active       lifecycle event or app-token of a claimed organization
//   pending -> active      the same, agreeing on app, installation, organization and stack
//   pending | active -> uninstalled   lifecycle event, a grant for it, or the same stack installed anew; final: a late event never
//                          revives it
//
// Installations of an organization that the operator does not list stay pending and idle.
import { forgetRecipients } from '../alerts/recipients.ts'
import { raiseAlert } from '../alerts/alert.ts'
import { appendAudit, type Actor } from '../audit/audit.ts'
import type { Db } from '../database/database.ts'
import { newId } from '../database/id.ts'
import type { Row } from '../database/schema.ts'
import { AppError } from '../errors.ts'
import { endAccessKeys } from '../identity/access-keys.ts'
import { cancelJobs, enqueue, hold, holdOf, release } from '../jobs/queue.ts'
import type { Vault } from '../vault/vault.ts'
import { moveTokens, type TokenRow } from './transitions.ts'

export type Installation = Row<'installation'>
export type Organization = Row<'organization'>

/** Enqueued in the transaction of the change, payload { installationId }. Subscribed to by the composition root. */
export const installationActive = 'installation.active'
/** Payload { installationId }; not in the installation's group, whose jobs are held for good. */
export const installationUninstalled = 'installation.uninstalled'

export interface InstallationDeps {
  vault: Vault
}

export interface ClaimedOrganization {
  region: string
  organizationUid: string
  name: string
}

const unclaimedReason = 'The operator of this Quayside does not serve this organization.'

/** Makes the stored organizations agree with the operator's list. Those no longer listed go idle: their installations' jobs are held. */
export async function claimOrganizations(db: Db, list: ClaimedOrganization[]): Promise<void> {
  await db.transaction().execute(async trx => {
    for (const { region, organizationUid, name } of list) {
      await trx
        .insertInto('organization')
        .values({ id: newId('org'), region, organization_uid: organizationUid, name, status: 'claimed', created_at: Date.now() })
        .onConflict(conflict => conflict.columns(['region', 'organization_uid']).doUpdateSet({ name, status: 'claimed' }))
        .execute()
    }
    const listed = new Set(list.map(({ region, organizationUid }) => `${region} ${organizationUid}`))
    for (const organization of await trx.selectFrom('organization').selectAll().execute()) {
      const claimed = listed.has(`${organization.region} ${organization.organization_uid}`)
      if (!claimed) await trx.updateTable('organization').set({ status: 'unclaimed' }).where('id', '=', organization.id).execute()
      const active = trx
        .selectFrom('installation')
        .select('id')
        .where('organization_id', '=', organization.id)
        .where('status', '=', 'active')
      for (const { id } of await active.execute()) {
        const standing = await holdOf(trx, id)
        if (!claimed && !standing) await hold(trx, id, unclaimedReason)
        if (claimed && standing?.reason === unclaimedReason) await release(trx, id)
      }
    }
  })
}

export interface InstallationFacts {
  region: string
  appUid: string
  installationUid: string
  organizationUid: string
  /** null when the proof does not tell. */
  stackApiKey: string | null
  stackName?: string
}

/** A row for what an install callback told; an existing one is returned as it stands. Throws AppError conflict when they disagree. */
export async function rememberPending(db: Db, facts: InstallationFacts): Promise<Installation> {
  return await db.transaction().execute(async trx => await findOrCreate(trx, facts))
}

/**
 * Creates or activates, and enqueues `installation.active` in the same transaction. Returns the row: still `pending` when the
 * organization is unclaimed, `uninstalled` when the installation has ended. Throws AppError conflict when the facts disagree.
 */
export async function activateInstallation(
  db: Db,
  deps: InstallationDeps,
  facts: InstallationFacts & { stackApiKey: string; via: 'lifecycle' | 'app-token' }
): Promise<Installation> {
  return await db.transaction().execute(async trx => {
    const row = await findOrCreate(trx, facts, 'proven')
    if (row.status !== 'pending') return row
    const organization = await organizationOf(trx, row)
    if (organization.status !== 'claimed') return row
    const changes = { status: 'active', stack_api_key: facts.stackApiKey, updated_at: Date.now() } as const
    const activated = await trx
      .updateTable('installation')
      .set(changes)
      .where('id', '=', row.id)
      .where('status', '=', 'pending')
      .executeTakeFirst()
    // Another proof was first, or it has ended meanwhile.
    if (activated.numUpdatedRows === 0n) return await installationById(trx, row.id)
    await endPredecessors(trx, deps, row, facts.stackApiKey)
    await enqueue(trx, { kind: installationActive, lane: 'local', payload: { installationId: row.id }, group: row.id })
    await appendAudit(trx, deps.vault, {
      organizationId: row.organization_id,
      installationId: row.id,
      actor: { kind: 'system', id: 'installations', name: `Contentstack (${facts.via})` },
      action: 'installation.activate',
      object: objectOf({ ...row, ...changes }),
      detail: { region: row.region, stackApiKey: facts.stackApiKey, installationUid: row.installation_uid }
    })
    return { ...row, ...changes }
  })
}

/** Stops all work, cancels waiting jobs and erases every secret of the installation. Null when we do not know it. Throws AppError conflict. */
export async function uninstall(
  db: Db,
  deps: InstallationDeps,
  facts: InstallationFacts & { actor?: Actor }
): Promise<Installation | null> {
  return await db.transaction().execute(async trx => {
    const row = await findInstallation(trx, facts)
    if (!row) return null
    await assertAgrees(trx, row, facts)
    return row.status === 'uninstalled' ? row : await end(trx, deps, row, facts.actor ?? contentstackActor, 'uninstalled in Contentstack')
  })
}

/** Throws AppError not_found for an unknown id and for one of another tenant alike. */
export async function getInstallation(db: Db, organizationIds: readonly string[], id: string): Promise<Installation> {
  const row =
    organizationIds.length === 0 ? undefined : await byId(db, id).where('organization_id', 'in', organizationIds).executeTakeFirst()
  if (!row) throw new AppError('not_found', `There is no installation ${id}`)
  return row
}

/** For jobs, which carry no tenant. Throws AppError not_found. */
export async function installationById(db: Db, id: string): Promise<Installation> {
  const row = await byId(db, id).executeTakeFirst()
  if (!row) throw new AppError('not_found', `There is no installation ${id}`)
  return row
}

export async function findInstallation(db: Db, of: { region: string; installationUid: string }): Promise<Installation | null> {
  const query = db.selectFrom('installation').selectAll().where('region', '=', of.region).where('installation_uid', '=', of.installationUid)
  return (await query.executeTakeFirst()) ?? null
}

/** Newest first, `before` = id of the last one seen. */
export async function listInstallations(
  db: Db,
  of: { organizationIds: readonly string[]; installationId?: string | undefined; before?: string | null; limit: number }
): Promise<Installation[]> {
  if (of.organizationIds.length === 0) return []
  let query = db
    .selectFrom('installation')
    .selectAll()
    .where('organization_id', 'in', of.organizationIds)
    .orderBy('id', 'desc')
    .limit(of.limit)
  if (of.installationId !== undefined) query = query.where('id', '=', of.installationId)
  if (of.before) query = query.where('id', '<', of.before)
  return await query.execute()
}

export async function organizationOf(db: Db, installation: Pick<Installation, 'organization_id'>): Promise<Organization> {
  return await db.selectFrom('organization').selectAll().where('id', '=', installation.organization_id).executeTakeFirstOrThrow()
}

/** Throws AppError conflict, with the reason, unless the installation is active and its organization served. */
export async function assertActive(db: Db, installation: Installation): Promise<void> {
  const name = installation.stack_name || installation.stack_api_key || installation.installation_uid
  if (installation.status === 'uninstalled') throw new AppError('conflict', `Quayside is no longer installed in ${name}`)
  if ((await organizationOf(db, installation)).status !== 'claimed') {
    throw new AppError('conflict', unclaimedReason, { remedy: 'Ask the operator of this Quayside to list the organization.' })
  }
  if (installation.status === 'pending') {
    throw new AppError('conflict', `The installation in ${name} is not confirmed by Contentstack yet`, {
      remedy: "Open the app's configuration page in Contentstack once."
    })
  }
}

export const objectOf = (row: Installation) => ({
  kind: 'installation',
  id: row.id,
  name: row.stack_name || row.stack_api_key || row.installation_uid
})

const byId = (db: Db, id: string) => db.selectFrom('installation').selectAll().where('id', '=', id)
const contentstackActor: Actor = { kind: 'system', id: 'installations', name: 'Contentstack' }

async function findOrCreate(trx: Db, facts: InstallationFacts, standing: 'told' | 'proven' = 'told'): Promise<Installation> {
  const known = await findInstallation(trx, facts)
  // An install callback names the installation in its address, where anybody can guess one: what Contentstack signed overrules it.
  if (known?.status === 'pending' && standing === 'proven' && (await disagreements(trx, known, facts)).length > 0)
    return await correctPending(trx, known, facts)
  if (known) {
    await assertAgrees(trx, known, facts)
    return known
  }
  const organization = await findOrCreateOrganization(trx, facts)
  const now = Date.now()
  const row: Installation = {
    id: newId('ins'),
    organization_id: organization.id,
    region: facts.region,
    installation_uid: facts.installationUid,
    app_uid: facts.appUid,
    stack_api_key: facts.stackApiKey ?? '',
    stack_name: facts.stackName ?? '',
    master_locale: '',
    status: 'pending',
    webhook_uid: null,
    webhook_secret_id: null,
    adopted_by: null,
    created_at: now,
    updated_at: now
  }
  // The install callback, the lifecycle event and the first frame come at the same moment: PostgreSQL waits here for whoever is
  // first, and the others go on with the row that then stands.
  await trx
    .insertInto('installation')
    .values(row)
    .onConflict(conflict => conflict.columns(['region', 'installation_uid']).doNothing())
    .execute()
  const made = (await findInstallation(trx, facts)) ?? row
  await assertAgrees(trx, made, facts)
  return made
}

async function correctPending(trx: Db, known: Installation, facts: InstallationFacts): Promise<Installation> {
  const { id: organizationId } = await findOrCreateOrganization(trx, facts)
  const changes = { organization_id: organizationId, app_uid: facts.appUid, stack_api_key: facts.stackApiKey ?? '', updated_at: Date.now() }
  await trx.updateTable('installation').set(changes).where('id', '=', known.id).where('status', '=', 'pending').execute()
  return await installationById(trx, known.id)
}

async function findOrCreateOrganization(trx: Db, facts: InstallationFacts): Promise<Organization> {
  const { region, organizationUid } = facts
  const values = {
    id: newId('org'),
    region,
    organization_uid: organizationUid,
    name: organizationUid,
    status: 'unclaimed',
    created_at: Date.now()
  } as const
  await trx
    .insertInto('organization')
    .values(values)
    .onConflict(conflict => conflict.columns(['region', 'organization_uid']).doNothing())
    .execute()
  const query = trx.selectFrom('organization').selectAll().where('region', '=', region).where('organization_uid', '=', organizationUid)
  return await query.executeTakeFirstOrThrow()
}

async function assertAgrees(trx: Db, row: Installation, facts: InstallationFacts): Promise<void> {
  const found = await disagreements(trx, row, facts)
  if (found.length === 0) return
  throw new AppError('conflict', `Installation ${facts.installationUid} is known with another ${found.join(' and ')}`)
}

async function disagreements(trx: Db, row: Installation, facts: InstallationFacts): Promise<string[]> {
  const organization = await organizationOf(trx, row)
  return [
    row.app_uid === facts.appUid ? null : 'app',
    organization.organization_uid === facts.organizationUid ? null : 'organization',
    facts.stackApiKey === null || row.stack_api_key === '' || row.stack_api_key === facts.stackApiKey ? null : 'stack'
  ].filter(name => name !== null)
}

/** One app is installed once in a stack: an older row means that its uninstall event never reached us. */
async function endPredecessors(trx: Db, deps: InstallationDeps, row: Installation, stackApiKey: string): Promise<void> {
  const older = await trx
    .selectFrom('installation')
    .selectAll()
    .where('organization_id', '=', row.organization_id)
    .where('stack_api_key', '=', stackApiKey)
    .where('app_uid', '=', row.app_uid)
    .where('status', '=', 'active')
    .where('id', '!=', row.id)
    .execute()
  for (const predecessor of older) await end(trx, deps, predecessor, contentstackActor, 'installed anew')
}

async function end(trx: Db, deps: InstallationDeps, row: Installation, actor: Actor, why: string): Promise<Installation> {
  const now = Date.now()
  const changes = { status: 'uninstalled', webhook_secret_id: null, updated_at: now } as const
  await trx.updateTable('installation').set(changes).where('id', '=', row.id).execute()
  await hold(trx, row.id, 'The app was uninstalled from this stack.')
  await cancelJobs(trx, { group: row.id })
  await deps.vault.eraseAll(trx, row.id)
  await forgetRecipients(trx, row.id)
  const keys = await endAccessKeys(trx, row.id, now)
  await trx
    .updateTable('grant_flow')
    .set({ status: 'failed', error: 'The app was uninstalled.', access_secret_id: null, verifier_secret_id: null, finished_at: now })
    .where('installation_id', '=', row.id)
    .where('finished_at', 'is', null)
    .execute()
  await enqueue(trx, { kind: installationUninstalled, lane: 'local', payload: { installationId: row.id } })
  const left = await leaveTokens(trx, deps, row, actor)
  await appendAudit(trx, deps.vault, {
    organizationId: row.organization_id,
    installationId: row.id,
    actor,
    action: 'installation.uninstall',
    object: objectOf(row),
    detail: { why, accessKeys: keys, left }
  })
  return { ...row, ...changes }
}

/** A management token cannot delete itself, and no grant stands: what may stand is listed, and somebody told, so that it goes there. */
async function leaveTokens(trx: Db, deps: InstallationDeps, row: Installation, actor: Actor): Promise<string[]> {
  const left = await moveTokens(trx, deps.vault, actor, async (_trx, { move }) => {
    const tokens = await trx.selectFrom('management_token').selectAll().where('installation_id', '=', row.id).execute()
    const names: string[] = []
    for (const token of tokens.filter(mayStand)) {
      const error = 'Uninstalled. Delete it in Contentstack under Settings > Tokens.'
      if (token.status !== 'orphaned') await move({ row: token, to: 'orphaned', why: 'the app was uninstalled', changes: { error } })
      names.push(`the management token "${token.name}"`)
    }
    return row.webhook_uid === null ? names : [...names, `the webhook "${webhookName(row)}"`]
  })
  if (left.length > 0) {
    await raiseAlert(trx, {
      organizationId: row.organization_id,
      installationId: row.id,
      kind: 'installation.left',
      title: `Quayside is gone from ${objectOf(row).name}, but something of it stands there still`,
      text: `An uninstall in Contentstack is told after the fact, too late to clear up: ${left.join(', ')}. An admin of the stack deletes it under Settings.`,
      links: []
    })
  }
  return left
}

const mayStand = ({ status, token_uid: uid }: TokenRow): boolean => status !== 'retired' && (status !== 'rejected' || uid !== null)

/** What may still stand in Contentstack and nobody here holds, in words. */
export async function leftStanding(db: Db, row: Installation): Promise<string[]> {
  const orphans = await db
    .selectFrom('management_token')
    .select('name')
    .where('installation_id', '=', row.id)
    .where('status', '=', 'orphaned')
    .execute()
  const webhook = row.status === 'uninstalled' && row.webhook_uid !== null ? [`the webhook "${webhookName(row)}"`] : []
  return [...orphans.map(({ name }) => `the management token "${name}"`), ...webhook]
}

/** Under Settings > Webhooks of the stack. */
export const webhookName = ({ id }: Pick<Installation, 'id'>): string => `Quayside ${id}`

/** After a grant for uninstalling was carried out. Harmless when it has ended already. */
export async function endByGrant(db: Db, deps: InstallationDeps, input: { installationId: string; actor: Actor }): Promise<void> {
  await db.transaction().execute(async trx => {
    const row = await installationById(trx, input.installationId)
    if (row.status !== 'uninstalled') await end(trx, deps, row, input.actor, 'uninstalled in Quayside')
  })
}
