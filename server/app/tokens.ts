// Every token in custody in one list, for the `quayside tokens` command: its state, what may be left behind, and where a person rotates
// it. Nothing here rotates: that takes a person's grant.
import type { CustodyLine } from '../http/contract/operator.ts'
import type { TokenServices } from '../http/operator/tokens.ts'
import { custodyLinks } from '../installations/install.ts'
import { assertActive, type Installation, installationById, organizationOf } from '../installations/installation.ts'
import { tokensOf } from '../installations/token.ts'
import { checkToken } from '../installations/watch.ts'
import type { Deps } from './deps.ts'

const shown = ['minting', 'verifying', 'active', 'expiring', 'dead', 'orphaned'] as const
/** Of what stands side by side, the one that matters most to whoever looks. */
const order = ['active', 'expiring', 'dead', 'verifying', 'minting']

export function tokenServices(deps: Deps): TokenServices {
  const { db } = deps
  return {
    async tokens() {
      const installations = await db.selectFrom('installation').selectAll().orderBy('id').execute()
      const lines: CustodyLine[] = []
      for (const installation of installations) {
        const line = await lineOf(deps, installation)
        // One that has ended is listed for as long as something of it may stand at Contentstack.
        if (installation.status === 'active' || line.orphans.length > 0) lines.push(line)
      }
      return lines
    },
    token: async id => await lineOf(deps, await installationById(db, id)),
    async checkToken(id) {
      const installation = await installationById(db, id)
      await assertActive(db, installation)
      const { outcome } = await checkToken(db, deps, id)
      return { outcome, line: await lineOf(deps, installation) }
    }
  }
}

async function lineOf(deps: Deps, installation: Installation): Promise<CustodyLine> {
  const { db, vault } = deps
  const organization = await organizationOf(db, installation)
  const rows = await tokensOf(db, installation.id, shown)
  const token = order.flatMap(status => rows.find(row => row.status === status) ?? [])[0] ?? null
  const state = token?.secret_id ? (await vault.statesOf(db, [token.secret_id])).get(token.secret_id) : undefined
  return {
    installationId: installation.id,
    stackName: installation.stack_name || installation.stack_api_key,
    organizationName: organization.name,
    region: installation.region,
    status: installation.status,
    token: token && {
      id: token.id,
      name: token.name,
      status: token.status,
      expiresAt: token.expires_at,
      checkedAt: token.checked_at,
      exposed: state === 'exposed'
    },
    orphans: rows.filter(({ status }) => status === 'orphaned').map(({ name }) => name),
    links: deps.apps.some(app => app.region.id === installation.region) ? custodyLinks(deps, installation) : []
  }
}
