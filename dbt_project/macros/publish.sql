{# Publication: a folder models/marts/<set>/ is a publish set, which is built in schema <set>__next, empty at the start of each
   build, and published in one transaction. Records 0001 to 0005 in docs/decisions give the reasons. Only the functions in
   warehouse/sql/publication.sql may swap schemas. #}

{# {publish set: [unique ids of its models]} for a list of node dictionaries. #}
{% macro publish_set_models(nodes) %}
  {% set found = {} %}
  {% for node in nodes if node.resource_type == 'model' and node.fqn[1] == 'marts' %}
    {% do found.setdefault(node.fqn[2], []).append(node.unique_id) %}
  {% endfor %}
  {{ return(found) }}
{% endmacro %}

{# List of unique ids: the given nodes and everything upstream of them. #}
{% macro with_upstream(unique_ids) %}
  {% set reached = unique_ids | list %}
  {% for unique_id in reached if unique_id in graph.nodes %}{# the list grows while it is walked #}
    {% for parent in graph.nodes[unique_id].depends_on.nodes if parent not in reached %}{% do reached.append(parent) %}{% endfor %}
  {% endfor %}
  {{ return(reached) }}
{% endmacro %}

{# Whether a failure of a node concerns the publish set of these models: a node that they are made from (`reached`), or a test of
   such a node. A mart of another set, and a test of it, concern that set only. #}
{% macro concerns(node, models, reached) %}
  {% if node.unique_id in reached %}{{ return(true) }}{% endif %}
  {% if node.resource_type not in ('test', 'unit_test') %}{{ return(false) }}{% endif %}
  {% for tested in node.depends_on.nodes if tested in graph.nodes and graph.nodes[tested].fqn[1] == 'marts' %}
    {% if tested not in models %}{{ return(false) }}{% endif %}
  {% endfor %}
  {{ return(node.depends_on.nodes | select('in', reached) | list | length > 0) }}
{% endmacro %}

{# List of columns (model.column) of these nodes with a declassification that no named person has approved. #}
{% macro proposed_declassifications(unique_ids) %}
  {% set approved = '^approved: [^:,]+, [0-9]{1,2} [A-Z][a-z]+ [0-9]{4}: .' %}
  {% set found = [] %}
  {% for unique_id in unique_ids if unique_id in graph.nodes %}
    {% for column in graph.nodes[unique_id].columns.values() if 'declassified_by' in column.config.meta %}
      {% if not modules.re.match(approved, column.config.meta.declassified_by | string) %}
        {% do found.append(graph.nodes[unique_id].name ~ '.' ~ column.name) %}
      {% endif %}
    {% endfor %}
  {% endfor %}
  {{ return(found | sort) }}
{% endmacro %}

{# For on-run-start: opens a build of each publish set in this run; raises an error with the reason if a build is refused. #}
{% macro open_publish_sets() %}
  {% if execute and flags.WHICH in ('run', 'build') %}
    {% set chosen = [] %}
    {% for node in graph.nodes.values() if node.unique_id in selected_resources %}{% do chosen.append(node) %}{% endfor %}
    {% set refusals = [] %}
    {% for publish_set in publish_set_models(chosen) %}
      {% set reached = with_upstream(publish_set_models(graph.nodes.values())[publish_set]) %}
      {% set raw_tables = [] %}
      {% for unique_id in reached if unique_id in graph.sources %}
        {% do raw_tables.append(graph.sources[unique_id].schema ~ '.' ~ graph.sources[unique_id].name) %}
      {% endfor %}
      {% set refusal = run_query(
          "select governance.begin_build('" ~ publish_set ~ "', array['" ~ raw_tables | join("', '") ~ "']::text[], '"
          ~ invocation_id ~ "', string_to_array('" ~ proposed_declassifications(reached) | join(',') ~ "', ','), "
          ~ env_var('WAREHOUSE_BUILDER', 'null') ~ ")"
      ).rows[0][0] %}
      {% for unique_id in publish_set_models(graph.nodes.values())[publish_set] %}{# dbt listed the tables before this hook #}
        {% set built_before = adapter.get_relation(target.database, publish_set ~ '__next', graph.nodes[unique_id].alias) %}
        {% if built_before %}{% do adapter.cache_dropped(built_before) %}{% endif %}
      {% endfor %}
      {% if refusal %}{% do refusals.append(publish_set ~ ' is not built: ' ~ refusal) %}{% endif %}
    {% endfor %}
    {% do run_query('commit') %}
    {% if refusals %}{{ exceptions.raise_compiler_error(refusals | join('\n')) }}{% endif %}
  {% endif %}
{% endmacro %}

{# Post-hook of each mart: records the table as it is made, so that only this table is published. #}
{% macro note_table() %}
  {%- if this.schema.endswith('__next') -%}
    select governance.note_table('{{ model.fqn[2] }}', '{{ this.identifier }}', '{{ invocation_id }}')
  {%- endif -%}
{% endmacro %}

{# SQL that adds the foreign keys of the tables of a set: the columns with a test `relationships` that refers to a key of a
   table of the set. Postgres checks the key of a filled table in one query, and of a table that is being filled row by
   row. Null without a foreign key. #}
{% macro foreign_keys(models) %}
  {% set additions = {} %}
  {% for test in graph.nodes.values() if test.resource_type == 'test' and (test.test_metadata or {}).name == 'relationships' %}
    {% for other in test.depends_on.nodes if test.attached_node in models and other in models and other != test.attached_node %}
      {% set field, referred = test.test_metadata.kwargs.field, graph.nodes[other] %}
      {% set keys = referred.constraints | map(attribute='columns') | list %}
      {% set is_unique = 'unique' in referred.columns[field].constraints | map(attribute='type') | map('string') | list %}
      {% if ([field] in keys or is_unique) and (test.config.severity | lower, test.config.where) == ('error', none) %}
        {% do additions.setdefault(test.attached_node, []).append(
            'add foreign key (' ~ test.column_name ~ ') references ' ~ referred.relation_name ~ ' (' ~ field ~ ')'
        ) %}
      {% endif %}
    {% endfor %}
  {% endfor %}
  {% set statements = [] %}
  {% for unique_id, added in additions.items() %}
    {% do statements.append('alter table ' ~ graph.nodes[unique_id].relation_name ~ ' ' ~ added | join(', ')) %}
  {% endfor %}
  {{ return(statements | join('; ') or none) }}
{% endmacro %}

{# For on-run-end: publishes each set that this run built completely if all its tests ran and passed. Raises an error with the
   reasons for the other sets. #}
{% macro publish_sets(results) %}
  {% if execute and flags.WHICH in ('run', 'build') %}
    {% set status = {} %}
    {% for result in results %}{% do status.update({result.node.unique_id: result.status | string}) %}{% endfor %}
    {% set refusals = [] %}
    {% for publish_set, models in publish_set_models(graph.nodes.values()).items() if models | select('in', status) | list %}
      {% set problems = [] %}
      {% set tests = {'pass': 0, 'warn': 0, 'fail': 0} %}
      {% set reached = with_upstream(models) %}
      {% for result in results if result.status | string in ('fail', 'error') %}
        {% if concerns(result.node, models, reached) %}
          {% set failed = [result.node.resource_type ~ ' ' ~ result.node.name ~ ' failed'] %}
          {% set violated = modules.re.findall('[^ \n][^\n]* violates [^\n]*constraint[^\n]*', result.message or '') %}
          {% do problems.append((failed + violated[:1]) | join(': ')) %}
        {% endif %}
      {% endfor %}
      {% set after_a_failure = ['skipped'] if problems else [] %}
      {% for unique_id in models if status.get(unique_id, 'missing') not in ['success', 'error'] + after_a_failure %}
        {% do problems.append('model ' ~ graph.nodes[unique_id].name ~ ' was not built') %}
      {% endfor %}
      {% for test in graph.nodes.values() if test.resource_type == 'test' and test.depends_on.nodes | select('in', models) | list %}
        {% set outcome = status.get(test.unique_id, 'missing') %}
        {% set outcome = 'fail' if outcome == 'error' else outcome %}
        {% if outcome in tests %}
          {% do tests.update({outcome: tests[outcome] + 1}) %}
        {% elif not problems %}
          {% do problems.append('test ' ~ test.name ~ ' was not run') %}
        {% endif %}
      {% endfor %}
      {% set seconds = [] %}
      {% for result in results %}
        {% set is_test = result.node.resource_type == 'test' and result.node.depends_on.nodes | select('in', models) | list %}
        {% if is_test or result.node.unique_id in models %}{% do seconds.append(result.execution_time) %}{% endif %}
      {% endfor %}
      {% set tables, reports = [], [] %}
      {% for unique_id in models %}
        {% set node = graph.nodes[unique_id] %}
        {% do tables.append(node.alias) %}
        {% if node.config.meta.restatements %}
          {% do reports.append(dict(node.config.meta.restatements, report=node.alias)) %}
        {% endif %}
      {% endfor %}
      {% set build = {
          'invocation_id': invocation_id, 'tables': tables, 'reports': reports,
          'tests_passed': tests['pass'], 'tests_warned': tests['warn'], 'tests_failed': tests['fail'],
          'model_seconds': seconds | sum | round(1)
      } %}
      {% set set_and_build = "'" ~ publish_set ~ "', '" ~ tojson(build) ~ "'::jsonb" %}
      {% set added_keys = foreign_keys(models) if not problems %}
      {% if added_keys %}{% do run_query(added_keys) %}{% endif %}
      {% for step in ('prepare_publication', 'publish') if not problems %}
        {% for row in run_query("select problem from governance." ~ step ~ "(" ~ set_and_build ~ ", '{}')").rows %}
          {% do problems.append(row[0]) %}
        {% endfor %}
        {% do run_query('commit') %}
      {% endfor %}
      {% if problems %}
        {% do refusals.append(publish_set ~ ' is not published: ' ~ problems | join('; ')) %}
        {% set listed = "array['" ~ problems | map('replace', "'", "''") | join("', '") ~ "']" %}
        {% do run_query("select governance.record_outcome(" ~ set_and_build.replace("', '", "', 'refuse', '", 1) ~ ", " ~ listed ~ ")") %}
      {% else %}
        {{ log(publish_set ~ ': published (' ~ models | length ~ ' models, ' ~ tests['pass'] ~ ' tests passed)', info=true) }}
      {% endif %}
      {% do run_query('commit') %}
      {% do run_query("select governance.drop_old_builds('" ~ publish_set ~ "')") %}
      {% do run_query('commit') %}
    {% endfor %}
    {% if refusals %}
      {{ exceptions.raise_compiler_error(refusals | join('\n') ~ '\nReaders still see the previous publication.') }}
    {% endif %}
  {% endif %}
{% endmacro %}
