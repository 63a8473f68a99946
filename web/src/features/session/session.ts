/** Who looks at the page, and what that one may do. */
import { queryOptions, useQuery } from "@tanstack/react-query";
import { ask, client, type Session, sendCsrf } from "@/lib/api";

type Permission = Session["permissions"][number];

export const sessionQuery = () =>
  queryOptions({
    queryKey: ["session"],
    queryFn: async () => {
      const session = await ask(client.GET("/api/v1/session", {}));
      sendCsrf(session.csrf);
      return session;
    },
  });

/** Whether a request of this kind would be allowed. */
export function useMay(permission: Permission): boolean {
  return useQuery(sessionQuery()).data?.permissions.includes(permission) ?? false;
}
