// The stacks a person works in: the first page after the login.
import { useLoad, useSession } from '../cms-context.ts'
import type { StackDetail } from '../host/place.ts'
import { Await, Empty, Link } from '../pieces/pieces.tsx'
import { TopBar } from './shell.tsx'

export function StacksPage() {
  const { client, session } = useSession()
  const organizations = session.user['org_uid'] as string[] | undefined
  const stacks = useLoad('stacks', async () => {
    const lists = await Promise.all(
      (organizations ?? ['']).map(uid =>
        client.cma<{ stacks: StackDetail[] }>('GET', '/stacks', undefined, { headers: { organization_uid: uid || undefined } })
      )
    )
    return lists.flatMap(list => list.stacks)
  })
  return (
    <>
      <TopBar />
      <main className="page narrow">
        <h1>Stacks</h1>
        <Await of={stacks}>
          {list =>
            list.length === 0 ? (
              <Empty>{session.user.first_name} works in no stack yet.</Empty>
            ) : (
              <ul className="rows">
                {list.map(stack => (
                  <li key={stack.api_key}>
                    <Link to={`/stack/${stack.api_key}`}>
                      <strong>{stack.name}</strong>
                      <span className="meta">master locale {stack.master_locale}</span>
                      <code className="meta">{stack.api_key}</code>
                    </Link>
                  </li>
                ))}
              </ul>
            )
          }
        </Await>
      </main>
    </>
  )
}
