"""A Flask application with what applications have: pages of a template, a form, uploads, streams, a session, files, errors."""

import hashlib

from flask import Flask, Response, redirect, render_template_string, request, send_file, session

application = Flask(__name__, static_folder="flask_static", static_url_path="/static")
application.secret_key = "a key for tests"
PAGE = "<ul>{% for name in names %}<li>{{ name }}</li>{% endfor %}</ul><a href='{{ url_for('hello', name='Zo\xeb') }}'>me</a>"


@application.get("/")
def front():
    return render_template_string(PAGE, names=["<one>", "two"])


@application.get("/hello/<name>")
def hello(name):
    return f"hello {name}"


@application.post("/form")
def form():
    return {"name": request.form["name"], "tags": request.form.getlist("tag"), "query": request.args.get("page", type=int)}


@application.post("/upload")
def upload():
    file = request.files["file"]
    return {"name": file.filename, "type": file.mimetype, "sha256": hashlib.sha256(file.read()).hexdigest(),
            "note": request.form["note"]}


@application.get("/stream")
def stream():
    return Response((b"%d\n" % number * 100 for number in range(1000)), mimetype="text/plain")


@application.get("/file")
def file():
    return send_file(__file__, mimetype="text/x-python")


@application.get("/count")
def count():
    session["count"] = session.get("count", 0) + 1
    return str(session["count"])


@application.get("/leave")
def leave():
    session.clear()
    return redirect("/count")


@application.get("/fails")
def fails():
    raise KeyError("asked for")


@application.errorhandler(404)
def missing(error):
    return "<h1>nothing here</h1>", 404
