"""A Compose project of which some services live in the cluster. Pure.

    plan = project.plan(model)                         # the services with x-tpbox, and what is wrong with them
    project.check_scale(plan, ["up", "--scale", "web=2"])
    override.dump(override.override(plan, sessions))   # a second Compose file, beside the user's own

`request` reads one x-tpbox, `project` the services around it, `local_names` tells which names stay Compose's,
`override` writes.
"""
