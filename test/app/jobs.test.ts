// What a server looks at first when it comes up: while it was down its webhooks failed, and Contentstack may have disabled them.
import { beforeEach, expect, it } from 'vitest'
import { lookAfterWebhooks } from '../../server/app/jobs.ts'
import type { Db } from '../../server/database/database.ts'
import { insertToken } from '../../server/installations/token.ts'
import type { TokenStatus } from '../../server/installations/transitions.ts'
import { registerKind } from '../../server/webhooks/register.ts'
import { forEachDatabase } from '../support/databases.ts'
import { insertInstallation } from '../support/rows.ts'

forEachDatabase(open => {
  let db: Db
  beforeEach(async () => {
    db = (await open()).db
  })

  const waiting = async () =>
    (await db.selectFrom('job').select('payload_json').where('kind', '=', registerKind).where('state', '=', 'ready').execute()).map(
      ({ payload_json }) => (JSON.parse(payload_json) as { installationId: string }).installationId
    )

  async function installed(status: 'active' | 'uninstalled', token: TokenStatus | null): Promise<string> {
    const installation = await insertInstallation(db, { status })
    if (token) await insertToken(db, installation, { name: 'Test', origin: 'minted', status: token, branches: ['main'], expiresAt: null })
    return installation.id
  }

  it('looks once after the webhook of every installation that has a token', async () => {
    const one = await installed('active', 'active')
    const other = await installed('active', 'active')
    await lookAfterWebhooks({ db })
    await lookAfterWebhooks({ db })
    expect((await waiting()).sort()).toEqual([one, other].sort())
  })

  it.each([
    ['without a token', 'active', null],
    ['whose token is dead', 'active', 'dead'],
    ['that is gone', 'uninstalled', 'active']
  ] as const)('leaves an installation %s alone', async (_case, status, token) => {
    await installed(status, token)
    await lookAfterWebhooks({ db })
    expect(await waiting()).toEqual([])
  })
})
