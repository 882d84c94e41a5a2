// What kinds of entries the stack has.
import { useLoad, useSession } from '../cms-context.ts'
import type { ContentType } from '../entry/draft.ts'
import { Await, Empty, Link } from '../pieces/pieces.tsx'
import type { StackScope } from './shell.tsx'

export function ContentTypesPage({ scope: { stack, branch } }: { scope: StackScope }) {
  const { client } = useSession()
  const types = useLoad(`types ${stack.api_key} ${branch}`, () =>
    client.cma<{ content_types: ContentType[] }>('GET', '/content_types', stack.api_key, { branch })
  )
  return (
    <>
      <h1>Entries</h1>
      <Await of={types}>
        {({ content_types }) =>
          content_types.length === 0 ? (
            <Empty>This branch has no content types yet.</Empty>
          ) : (
            <table>
              <thead>
                <tr>
                  <th scope="col">Content type</th>
                  <th scope="col">Uid</th>
                  <th scope="col" className="number">
                    Fields
                  </th>
                </tr>
              </thead>
              <tbody>
                {content_types.map(type => (
                  <tr key={type.uid}>
                    <td>
                      <Link to={`/stack/${stack.api_key}/content-type/${type.uid}${branch === 'main' ? '' : `?branch=${branch}`}`}>
                        {type.title}
                      </Link>
                    </td>
                    <td>
                      <code>{type.uid}</code>
                    </td>
                    <td className="number">{type.schema.length}</td>
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
