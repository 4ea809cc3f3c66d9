from django.db import models


class Book(models.Model):
    title = models.CharField(max_length=100)
    pages = models.IntegerField()
    text = models.FileField(upload_to="texts", blank=True)

    def __str__(self):
        return self.title
