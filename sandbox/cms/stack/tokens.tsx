// The stack's management tokens: names and dates. The secret is shown once, by whoever creates one; never here.
import { useLoad, useSession } from '../cms-context.ts'
import { Await, Empty, State, Time, Uid } from '../pieces/pieces.tsx'
import type { StackScope } from './shell.tsx'

interface Token {
  uid: string
  name: string
  description?: string
  scope: { module: string; acl: { read?: boolean; write?: boolean }; branches?: string[] }[]
  expires_on?: string | null
  created_at?: string
  created_by?: string
}

export function TokensPage({ scope: { stack } }: { scope: StackScope }) {
  const { client } = useSession()
  const tokens = useLoad(`tokens ${stack.api_key}`, () =>
    client.cma<{ tokens: Token[] }>('GET', '/stacks/management_tokens', stack.api_key)
  )
  return (
    <>
      <h1>Management tokens</h1>
      <p className="meta">A management token belongs to the stack. It names no person, and it stays when whoever created it leaves.</p>
      <Await of={tokens}>
        {({ tokens: list }) =>
          list.length === 0 ? (
            <Empty>No management token yet. An app's one-time grant, or an admin, creates the first.</Empty>
          ) : (
            <table>
              <thead>
                <tr>
                  <th scope="col">State</th>
                  <th scope="col">Name</th>
                  <th scope="col">Uid</th>
                  <th scope="col">May</th>
                  <th scope="col">Branches</th>
                  <th scope="col">Expires</th>
                  <th scope="col">Created</th>
                </tr>
              </thead>
              <tbody>
                {list.map(token => (
                  <tr key={token.uid}>
                    <td>{expired(token) ? <State is="bad">expired</State> : <State is="good">valid</State>}</td>
                    <td>
                      <strong>{token.name}</strong>
                      {token.description ? <span className="meta below">{token.description}</span> : null}
                    </td>
                    <td>
                      <Uid value={token.uid} />
                    </td>
                    <td>{token.scope.some(({ module, acl }) => !module.startsWith('branch') && acl.write) ? 'read and write' : 'read'}</td>
                    <td>{token.scope.flatMap(({ branches }) => branches ?? []).join(', ') || 'all'}</td>
                    <td>{token.expires_on ?? 'never'}</td>
                    <td>
                      <Time at={token.created_at} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )
        }
      </Await>
    </>
  )
}

/** A token dies at midnight UTC of its date (platform reference §1.2). */
function expired(token: Token): boolean {
  return Boolean(token.expires_on) && Date.parse(String(token.expires_on).slice(0, 10)) <= Date.now()
}
