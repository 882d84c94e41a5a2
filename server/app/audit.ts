// What the command asks about audit trails, bound to database and dependencies.
import { compareAnchors, readAnchors } from '../audit/anchors.ts'
import { headOf } from '../audit/audit.ts'
import { dayOf, exportPage, organizationAfter, revealCounts } from '../audit/export.ts'
import { verifyStretch } from '../audit/verify.ts'
import { isAppError } from '../errors.ts'
import type { AuditDoor } from '../http/operator/audit.ts'
import type { OrganizationDoor } from '../http/operator/organizations.ts'
import type { Deps } from './deps.ts'
import { eraseOrganization, previewErasure } from './erase.ts'
import { verifyReceipt } from './receipt.ts'

const dayMs = 24 * 60 * 60_000
/** Of a request: the command asks again until it is done, and shows how far it is. */
const eraseMs = 2_000

export function auditDoor({ db, vault, anchors }: Pick<Deps, 'db' | 'vault' | 'anchors'>): AuditDoor {
  return {
    async chainAfter(after) {
      const organizationId = await organizationAfter(db, after)
      if (organizationId === null) return null
      const known = await db.selectFrom('organization').select('name').where('id', '=', organizationId).executeTakeFirst()
      return { organizationId, name: known?.name ?? '(not known)', events: (await headOf(db, organizationId)).seq }
    },
    stretch: ({ organizationId, from }) => verifyStretch(db, vault, organizationId, from),
    async anchors(asked) {
      if ('anchors' in asked) {
        return { file: null, next: null, unreadable: 0, compared: await compareAnchors(db, vault, asked.anchors) }
      }
      const piece = await readAnchors(anchors.path, asked.from).catch((error: unknown) => {
        if (isAppError(error, 'not_found')) return { anchors: [], unreadable: 0, next: null }
        throw error
      })
      return {
        file: anchors.path,
        next: piece.next,
        unreadable: piece.unreadable,
        compared: await compareAnchors(db, vault, piece.anchors)
      }
    },
    async exportPage({ place, ...asked }) {
      await vault.flush(db)
      return await exportPage(db, asked, place ?? null)
    },
    async reveals({ organizationId, days }) {
      await vault.flush(db)
      const now = Date.now()
      return await revealCounts(db, { organizationId, from: dayOf(now - (days - 1) * dayMs), to: dayOf(now) })
    }
  }
}

export function organizationDoor(deps: Pick<Deps, 'db' | 'vault' | 'log'>): OrganizationDoor {
  const { db, vault } = deps
  return {
    async list() {
      const rows = await db.selectFrom('organization').selectAll().orderBy('id').execute()
      const erasing = new Set((await db.selectFrom('erasure').select('organization_id').execute()).map(row => row.organization_id))
      const installed = await db
        .selectFrom('installation')
        .select(['organization_id', eb => eb.fn.countAll<number>().as('count')])
        .groupBy('organization_id')
        .execute()
      const views = []
      for (const { id, region, organization_uid: organizationUid, name, status } of rows) {
        views.push({
          id,
          region,
          organizationUid,
          name,
          status: erasing.has(id) ? ('erasing' as const) : status,
          installations: installed.find(row => row.organization_id === id)?.count ?? 0,
          events: (await headOf(db, id)).seq
        })
      }
      return views
    },
    preview: id => previewErasure(db, id),
    erase: (organizationId, actor, { name, leaveTokens = false }) =>
      eraseOrganization(db, deps, { organizationId, name, leaveTokens, actor }, eraseMs),
    verifyReceipt: receipt => verifyReceipt(db, vault, receipt)
  }
}
