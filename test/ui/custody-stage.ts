// The pages of one installation on the stage: in the CMS for a stack admin, in the console, and the authorization they begin.
import type { Frame, Page } from 'playwright-core'
import type { Custody, Grant } from '../../server/http/contract/custody.ts'
import type { Installation } from '../../server/http/contract/stack.ts'
import type { Pages } from './on-stage.ts'
import { session } from './stage.ts'
import { grant, installed, stackDoor } from './states.ts'

export const frameDoor = '/api/extension/stack'
export const consoleDoor = '/api/console/installations/ins_1'
export const here = '/console/installations/ins_1'
export const kept = (current: Custody['current'], more: Partial<Custody> = {}): Custody => ({ current, history: [], grant: null, ...more })
export const button = (where: Page | Frame, name: string) => where.getByRole('button', { name, exact: true })

export const primaries = (where: Page | Frame) => where.locator('.button-primary').allInnerTexts()

export function custodyStage(pages: Pages) {
  const { open, inFrame } = pages

  /** The configuration page of a stack admin. */
  async function config(of: Custody['current'], custody: unknown, change: Record<string, unknown> = {}, width = 1000) {
    const installation = installed(of)
    pages.stage.door['POST /api/extension/session'] = session({ installation })
    pages.stage.door['POST /api/extension/session/renew'] = session({ installation })
    Object.assign(pages.stage.door, stackDoor(frameDoor, installation, custody, change))
    return await inFrame('/app-configuration', { width })
  }

  async function inConsole(of: Installation, custody: unknown, change: Record<string, unknown> = {}, path = here): Promise<Page> {
    Object.assign(pages.stage.door, stackDoor(consoleDoor, of, custody, change))
    return await open(`${pages.stage.app}${path}`)
  }

  /** The grant that the page began, as the server goes on with it. */
  function grants(path: string, before: Custody) {
    const now: { custody: Custody } = { custody: before }
    pages.stage.door[`POST ${path}/grants`] = () => ({ grantId: 'grf_2', url: `${pages.stage.app}/ui/console.html` })
    return {
      door: () => now.custody,
      becomes(status: Grant['status'], more: Partial<Custody> = {}, error: string | null = null) {
        now.custody = { ...now.custody, ...more, grant: grant({ id: 'grf_2', status, error, validUntil: Date.now() + 60_000 }) }
      }
    }
  }

  return { config, inConsole, grants }
}
