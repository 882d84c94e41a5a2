// What happens to everybody's credentials when a person leaves, for the page that shows it. It does not read the answer off the
// world: it asks the CMA with each credential, over HTTP, as its holder would, and shows the status that came back.
import express from 'express'
import type { SandboxContext } from '../context.ts'
import { answerRefusals, hubRefusal } from '../oauth/refusal.ts'
import type { Stack, World, WriteRecord } from '../world/model.ts'
import { comeBack, leave } from '../world/people.ts'
import { text } from './page-routes.ts'

/** A status, or null when there was nothing to ask with. */
type Answered = number | null

export function standingRoutes(context: SandboxContext): express.Router {
  const { world } = context
  const router = express.Router()
  // Their authtoken is gone from the world once they leave; to try it afterwards it has to be remembered here.
  const lastAuthtoken = new Map<string, string>()

  function remember(userUid: string): string | undefined {
    const tokens = Object.entries(world.authtokens).filter(([, session]) => session.userUid === userUid)
    const newest = tokens.sort(([, a], [, b]) => b.createdAt.localeCompare(a.createdAt))[0]?.[0]
    if (newest) lastAuthtoken.set(userUid, newest)
    return lastAuthtoken.get(userUid)
  }

  // A 429 says nothing about the credential: the organization's budget is shared with whatever syncs, so it asks again.
  async function ask(path: string, headers: Record<string, string>): Promise<Answered> {
    for (let turn = 1; ; turn++) {
      const { status } = await fetch(`${context.urls.contentManagement}/v3${path}`, { headers })
      if (status !== 429 || turn === 8) return status
      await new Promise(resolve => setTimeout(resolve, 250))
    }
  }

  router.get('/standing', async (request, response) => {
    const user = world.users[text(request.query['user'])]
    const stack = world.stacks[text(request.query['api_key'])]
    if (!user || !stack) throw hubRefusal(404, 'Name a person of the sandbox in "user" and a stack in "api_key".')
    const authtoken = remember(user.uid)
    const environments = (headers: Record<string, string>) => ask('/environments?limit=1', { api_key: stack.apiKey, ...headers })
    const [authtokenAnswer, tokenAnswers] = await Promise.all([
      authtoken ? environments({ authtoken }) : null,
      Promise.all(
        Object.values(stack.managementTokens).map(async token => ({ token, answer: await environments({ authorization: token.secret }) }))
      )
    ])
    response.json({
      person: {
        uid: user.uid,
        firstName: user.firstName,
        lastName: user.lastName,
        active: user.active,
        role: stack.members[user.uid] ?? null
      },
      authtoken: { answer: authtokenAnswer, ...writesBy(stack, 'authtoken', user.uid) },
      authorizations: Object.values(world.authorizations)
        .filter(({ userUid }) => userUid === user.uid)
        .map(({ uid, appUid, scopes, createdAt, revokedAt }) => ({
          uid,
          app: world.apps[appUid]?.name ?? appUid,
          scopes,
          createdAt,
          revokedAt
        })),
      managementTokens: tokenAnswers.map(({ token: { uid, name }, answer }) => ({
        uid,
        name,
        answer,
        ...writesBy(stack, 'management_token', uid)
      })),
      writes: lastWrites(world, stack)
    })
  })

  router.post('/people/:uid/leave', (request, response) => {
    remember(personUid(world, request.params.uid))
    leave(context, request.params.uid)
    response.json({ uid: request.params.uid, active: false })
  })
  router.post('/people/:uid/return', (request, response) => {
    comeBack(context, personUid(world, request.params.uid))
    response.json({ uid: request.params.uid, active: true })
  })

  router.use(answerRefusals)
  return router
}

function personUid(world: World, uid: string): string {
  if (!world.users[uid]) throw hubRefusal(404, 'There is no such person in the sandbox.')
  return uid
}

const writesShown = 12

function lastWrites(world: World, stack: Stack): unknown[] {
  return stack.writes
    .slice(-writesShown)
    .reverse()
    .map(write => ({
      ...write,
      title: titleOf(stack, write),
      person: write.by.kind === 'authtoken' || write.by.kind === 'oauth_user' ? (world.users[write.by.uid]?.firstName ?? null) : null
    }))
}

function writesBy(stack: Stack, kind: WriteRecord['by']['kind'], uid: string): { writeCount: number; lastWriteAt: string | null } {
  const writes = stack.writes.filter(({ by }) => by.kind === kind && by.uid === uid)
  return { writeCount: writes.length, lastWriteAt: writes.at(-1)?.at ?? null }
}

/** The name people know it by, as it stands now; null when it is gone. */
function titleOf(
  stack: Stack,
  { module, branch = 'main', contentType = '', uid, locale = stack.masterLocale }: WriteRecord
): string | null {
  if (module === 'management_token') return stack.managementTokens[uid]?.name ?? null
  if (module === 'asset') return stack.assets[branch]?.[uid]?.title ?? null
  if (module === 'content_type') return stack.contentTypes[branch]?.[uid]?.title ?? null
  const versions = stack.entries[branch]?.[contentType]?.[uid]?.locales[locale]?.versions
  const title = versions?.at(-1)?.fields['title']
  return typeof title === 'string' ? title : null
}
